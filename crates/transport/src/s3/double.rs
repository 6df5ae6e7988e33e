//! A small S3 in this process, for tests: it speaks enough of the protocol, counts, and misbehaves when asked to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The bucket that is there.
pub(crate) const BUCKET: &str = "bucket";
/// Keys on one page of a list.
const PAGE: usize = 2;

/// How a request goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// This status with this code.
    Refuse(u16, &'static str),
    /// Half of the body, then the end of the connection.
    BreakOff,
    /// The whole object whatever range was asked for.
    IgnoreRange,
    /// Writes whatever the conditions of the request.
    IgnoreConditions,
    /// Says that this key may not be removed, among many that are.
    Keep(&'static str),
    /// Does what was asked, and ends the connection without an answer.
    LoseAnswer,
}

/// What a client asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// The key, decoded.
    pub(crate) key: String,
    pub(crate) query: String,
    /// By their names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Asked {
    fn argument(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.filter(|(k, _)| *k == name).map(|(_, v)| decoded(v)).next()
    }
}

type Rule = Box<dyn Fn(&Asked, usize) -> Option<Fault> + Send>;

#[derive(Default)]
struct Inside {
    objects: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    log: Vec<String>,
    bytes_sent: usize,
    rule: Option<Rule>,
}

/// The server; it goes with the test.
#[derive(Clone)]
pub(crate) struct Double {
    pub(crate) url: String,
    inside: Arc<Mutex<Inside>>,
    at_once: Arc<AtomicUsize>,
    at_once_max: Arc<AtomicUsize>,
}

impl Double {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let double =
            Self { url, inside: Arc::default(), at_once: Arc::default(), at_once_max: Arc::default() };
        let server = double.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        double
    }

    /// Decides for each request, and how many like it (method and key) came before, whether it goes wrong.
    pub(crate) fn misbehave(&self, rule: impl Fn(&Asked, usize) -> Option<Fault> + Send + 'static) {
        self.inside.lock().unwrap().rule = Some(Box::new(rule));
    }

    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        self.inside.lock().unwrap().objects.insert(key.to_owned(), bytes.to_vec());
    }

    /// Methods, keys and queries of all requests so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.inside.lock().unwrap().log.clone()
    }

    pub(crate) fn forget_log(&self) {
        let mut inside = self.inside.lock().unwrap();
        inside.log.clear();
        inside.bytes_sent = 0;
    }

    pub(crate) fn bytes_sent(&self) -> usize {
        self.inside.lock().unwrap().bytes_sent
    }

    pub(crate) fn open_uploads(&self) -> usize {
        self.inside.lock().unwrap().uploads.len()
    }

    pub(crate) fn at_once_max(&self) -> usize {
        self.at_once_max.load(Ordering::SeqCst)
    }

    fn serve(&self, stream: TcpStream) {
        let mut input = BufReader::new(stream.try_clone().unwrap());
        let mut output = stream;
        while let Some(asked) = read_request(&mut input, &mut output) {
            let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.at_once_max.fetch_max(now, Ordering::SeqCst);
            let kept = self.answer(&asked, &mut output);
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            if !kept {
                return;
            }
        }
    }

    /// Answers one request; whether the connection goes on.
    fn answer(&self, asked: &Asked, output: &mut TcpStream) -> bool {
        let mut inside = self.inside.lock().unwrap();
        let line = format!("{} {}?{}", asked.method, asked.key, asked.query);
        let like = format!("{} {}?", asked.method, asked.key);
        let before = inside.log.iter().filter(|l| l.starts_with(&like)).count();
        inside.log.push(line);
        let fault = inside.rule.as_ref().and_then(|rule| rule(asked, before));
        if let Some(Fault::Refuse(status, code)) = fault {
            return send(output, &asked.method, status, &[], error_xml(code).as_bytes(), false);
        }
        let mut asked = asked.clone();
        if matches!(fault, Some(Fault::IgnoreConditions)) {
            asked.headers.retain(|name, _| !name.starts_with("if-"));
        }
        if matches!(fault, Some(Fault::IgnoreRange)) {
            asked.headers.remove("range");
        }
        let kept = if let Some(Fault::Keep(key)) = fault { Some(key) } else { None };
        let (status, headers, body) = inside.act(&asked, kept);
        if asked.method == "GET" {
            inside.bytes_sent += body.len();
        }
        drop(inside);
        if matches!(fault, Some(Fault::LoseAnswer)) {
            return false;
        }
        let breaks = matches!(fault, Some(Fault::BreakOff));
        send(output, &asked.method, status, &headers, &body, breaks)
    }
}

type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

fn refuse(status: u16, code: &str) -> Answer {
    (status, Vec::new(), error_xml(code).into_bytes())
}

fn error_xml(code: &str) -> String {
    format!("<Error><Code>{code}</Code><Message>the double says so</Message></Error>")
}

impl Inside {
    fn act(&mut self, asked: &Asked, kept: Option<&str>) -> Answer {
        let (bucket, key) = asked.key.split_once('/').unwrap_or((&asked.key, ""));
        if bucket != BUCKET {
            return refuse(404, "NoSuchBucket");
        }
        let key = key.to_owned();
        let upload = asked.argument("uploadId");
        match (asked.method.as_str(), upload) {
            ("GET", _) if key.is_empty() => self.list(asked),
            ("GET" | "HEAD", _) => self.read(asked, &key),
            ("PUT", Some(id)) => {
                let number = asked.argument("partNumber").unwrap().parse().unwrap();
                match self.uploads.get_mut(&id) {
                    Some(parts) => {
                        parts.insert(number, asked.body.clone());
                        (200, vec![("ETag", format!("\"part-{number}\""))], Vec::new())
                    }
                    None => refuse(404, "NoSuchUpload"),
                }
            }
            ("PUT", None) => {
                if let Some(violated) = self.violated(asked, &key) {
                    return violated;
                }
                let tag = etag(&asked.body);
                self.objects.insert(key, asked.body.clone());
                (200, vec![("ETag", tag)], Vec::new())
            }
            ("POST", None) if key.is_empty() => self.remove_many(asked, kept),
            ("POST", None) => {
                let id = format!("upload-{}", self.log.len());
                self.uploads.insert(id.clone(), BTreeMap::new());
                let xml = format!(
                    "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                );
                (200, Vec::new(), xml.into_bytes())
            }
            ("POST", Some(id)) => {
                if let Some(violated) = self.violated(asked, &key) {
                    return violated;
                }
                let parts = self.uploads.remove(&id).unwrap();
                self.objects.insert(key, parts.into_values().flatten().collect());
                let xml = "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>";
                (200, Vec::new(), xml.as_bytes().to_vec())
            }
            ("DELETE", Some(id)) => {
                self.uploads.remove(&id);
                (204, Vec::new(), Vec::new())
            }
            ("DELETE", None) => {
                self.objects.remove(&key);
                (204, Vec::new(), Vec::new())
            }
            _ => refuse(400, "InvalidRequest"),
        }
    }

    /// What is answered where a condition of a write does not hold.
    fn violated(&self, asked: &Asked, key: &str) -> Option<Answer> {
        let found = self.objects.get(key).map(|object| etag(object));
        let wants_none = asked.headers.contains_key("if-none-match");
        match (asked.headers.get("if-match"), found) {
            (Some(_), None) => Some(refuse(404, "NoSuchKey")),
            (Some(wanted), Some(found)) if *wanted != found => Some(refuse(412, "PreconditionFailed")),
            (None, Some(_)) if wants_none => Some(refuse(412, "PreconditionFailed")),
            _ => None,
        }
    }

    fn remove_many(&mut self, asked: &Asked, kept: Option<&str>) -> Answer {
        let body = String::from_utf8(asked.body.clone()).unwrap();
        let mut xml = "<DeleteResult>".to_owned();
        for key in body.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap()) {
            let name = key.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
            let name = name.replace("&#39;", "'").replace("&apos;", "'").replace("&amp;", "&");
            if kept.is_some_and(|kept| name.ends_with(kept)) {
                xml +=
                    &format!("<Error><Key>{key}</Key><Code>AccessDenied</Code><Message>no</Message></Error>");
            } else {
                self.objects.remove(&name);
            }
        }
        (200, Vec::new(), (xml + "</DeleteResult>").into_bytes())
    }

    fn read(&self, asked: &Asked, key: &str) -> Answer {
        let Some(object) = self.objects.get(key) else { return refuse(404, "NoSuchKey") };
        let etag = etag(object);
        // If-Match is not looked at, as by some stores.
        let whole = 0..object.len();
        let range = asked.headers.get("range").map(|range| {
            let (from, to) = range.trim_start_matches("bytes=").split_once('-').unwrap();
            let to = to.parse::<usize>().unwrap().saturating_add(1).min(object.len());
            from.parse::<usize>().unwrap()..to
        });
        match range {
            None => (200, vec![("ETag", etag)], object[whole].to_vec()),
            Some(range) if range.start >= object.len() => refuse(416, "InvalidRange"),
            Some(range) => {
                let shown = format!("bytes {}-{}/{}", range.start, range.end - 1, object.len());
                (206, vec![("ETag", etag), ("Content-Range", shown)], object[range].to_vec())
            }
        }
    }

    fn list(&self, asked: &Asked) -> Answer {
        let prefix = asked.argument("prefix").unwrap_or_default();
        let after = asked.argument("continuation-token").unwrap_or_default();
        let mut keys: Vec<_> =
            self.objects.iter().filter(|(k, _)| k.starts_with(&prefix) && **k > after).collect();
        let more = keys.len() > PAGE;
        keys.truncate(PAGE);
        let mut xml = format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>");
        if let (true, Some((last, _))) = (more, keys.last()) {
            xml += &format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(last));
        }
        for (key, object) in keys {
            let (etag, size) = (etag(object), object.len());
            let key = escaped(key);
            xml += &format!("<Contents><Key>{key}</Key><ETag>{etag}</ETag><Size>{size}</Size></Contents>");
        }
        (200, Vec::new(), (xml + "</ListBucketResult>").into_bytes())
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn etag(object: &[u8]) -> String {
    let sum = object.iter().fold(7_u64, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(*b)));
    format!("\"{sum:016x}\"")
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
        out.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap()
}

fn read_request(input: &mut impl BufRead, output: &mut TcpStream) -> Option<Asked> {
    let mut line = String::new();
    input.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    if headers.contains_key("expect") {
        output.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let key = decoded(path.trim_start_matches('/')).trim_end_matches('/').to_owned();
    Some(Asked { method, key, query: query.to_owned(), headers, body })
}

fn send(
    output: &mut TcpStream,
    method: &str,
    status: u16,
    headers: &[(&'static str, String)],
    body: &[u8],
    breaks: bool,
) -> bool {
    let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let body = match method {
        "HEAD" => &[],
        _ if breaks => &body[..body.len() / 2],
        _ => body,
    };
    let sent = output.write_all((head + "\r\n").as_bytes()).and_then(|()| output.write_all(body));
    sent.is_ok() && !breaks
}
