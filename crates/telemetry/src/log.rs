//! Logs, to standard error.

use std::io::IsTerminal;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people: level, message and fields, in colour on a terminal.
    #[default]
    Text,
    /// For machines: one JSON object a line, with time, level, target, message and fields side by side.
    Json,
}

/// Sends logs of the whole process to standard error from now on. `RUST_LOG` chooses how much; `default_filter`, in the
/// same language, where it is absent or makes no sense. Does nothing when logs go somewhere already.
pub fn start_logging(format: LogFormat, default_filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    let colour = std::io::stderr().is_terminal();
    let _ = subscriber(format, filter, std::io::stderr, colour).try_init();
}

fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    writer: W,
    colour: bool,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Text => Box::new(builder.with_ansi(colour).with_target(false).without_time().finish()),
        LogFormat::Json => {
            Box::new(builder.with_ansi(false).json().flatten_event(true).with_span_list(false).finish())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = subscriber(format, EnvFilter::new("info"), move || writer.clone(), false);
        tracing::subscriber::with_default(subscriber, || {
            let _task = tracing::info_span!("task", image = "a.png").entered();
            tracing::warn!(attempt = 2, "tile is damaged");
            tracing::debug!("not of interest");
        });
        String::from_utf8(page.0.lock().unwrap().clone()).expect("logs are UTF-8")
    }

    #[test]
    fn text_is_short() {
        assert_eq!(written(LogFormat::Text), " WARN task{image=\"a.png\"}: tile is damaged attempt=2\n");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = written(LogFormat::Json);
        let line: serde_json::Value = serde_json::from_str(&text).expect("one line of JSON");
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "tile is damaged");
        assert_eq!(line["attempt"], 2);
        assert_eq!(line["span"]["image"], "a.png");
        assert!(line["timestamp"].is_string());
    }
}
