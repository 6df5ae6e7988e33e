//! Third parties' decoders, which may panic on a damaged file.

use super::error::ReadFault;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

thread_local! {
    /// How many guards this thread is inside of.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Runs a third party's decoder. One that panics on a damaged file makes it unreadable, no more than that.
pub(super) fn guarded<T>(decode: impl FnOnce() -> Result<T, ReadFault>) -> Result<T, ReadFault> {
    DEPTH.set(DEPTH.get() + 1);
    // Nothing the closure touched is used after a panic: it is dropped together with the failed image or chunk.
    let result = catch_unwind(AssertUnwindSafe(decode));
    DEPTH.set(DEPTH.get() - 1);
    result.unwrap_or_else(|_| Err(ReadFault::unreadable("its content made the decoder fail")))
}

/// Whether a panic, as a panic hook sees it, is one of a third party's decoder: it becomes a [`ReadError`](super::ReadError)
/// of the file that it was shown, so a hook need not speak of it. One of this crate's own code never is, wherever it ran.
pub fn is_decoder_panic(panic: &PanicHookInfo<'_>) -> bool {
    let own = file!().trim_end_matches("read/guarded.rs");
    DEPTH.get() > 0 && panic.location().is_some_and(|place| !place.file().starts_with(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_to_be_a_decoders_by_where_it_was_raised() {
        let (tell, told) = std::sync::mpsc::channel();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // Other tests of this process may panic too.
            if std::thread::current().name() == Some("guarded") {
                tell.send(is_decoder_panic(panic)).unwrap();
            }
        }));
        let guarded_thread = std::thread::Builder::new().name("guarded".to_owned());
        let foreign = || std::str::from_utf8(b"x").map(|text| text.repeat(usize::MAX));
        let faults = guarded_thread
            .spawn(move || {
                let inside = guarded(|| Err::<(), _>(ReadFault::unreadable(format!("{:?}", foreign()))));
                let own = guarded(|| -> Result<(), _> { panic!("ours") });
                let outside = catch_unwind(|| panic!("no guard"));
                (inside.is_err(), own.is_err(), outside.is_err())
            })
            .unwrap()
            .join()
            .unwrap();
        std::panic::set_hook(before);
        assert_eq!(faults, (true, true, true));
        assert_eq!(told.iter().collect::<Vec<_>>(), [true, false, false]);
    }
}
