//! An HTTP proxy before an S3 store that answers by rule: by method and key, with a status and a code, or late.

use crate::cluster::role::{LOOK_EVERY, until};
use crate::cluster::services::host;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Which requests something happens to, and what.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Any, if it is empty.
    method: &'static str,
    in_path: String,
    /// To each so manieth of these.
    every: u64,
    asked: u64,
    act: Act,
}

#[derive(Debug, Clone)]
enum Act {
    Refuse(u16, &'static str),
    Delay(Duration),
    Hold(Held),
}

/// A request that is held on its way until it is let go; those after it are not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held(Arc<Mutex<Way>>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Way {
    #[default]
    Expected,
    Waiting,
    LetGo,
    Answered,
}

impl Held {
    fn way(&self) -> Way {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, way: Way) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = way;
    }

    /// Waits until a request is held.
    pub(crate) fn arrived(&self) {
        until("a request is held", || self.way() == Way::Waiting);
    }

    /// Lets it go, and waits until the server has answered.
    pub(crate) fn let_go(&self) {
        self.is(Way::LetGo);
        until("the held request is answered", || self.way() == Way::Answered);
    }

    /// Waits, if this is the first request that comes here; whether it was.
    fn holds(&self) -> bool {
        let mut way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *way != Way::Expected {
            return false;
        }
        *way = Way::Waiting;
        drop(way);
        while self.way() != Way::LetGo {
            std::thread::sleep(LOOK_EVERY);
        }
        true
    }
}

impl Rule {
    /// Requests of this `method` whose path has `in_path` in it are refused.
    pub(crate) fn refuse(method: &'static str, in_path: &str, status: u16, code: &'static str) -> Self {
        let act = Act::Refuse(status, code);
        Self { method, in_path: in_path.to_owned(), every: 1, asked: 0, act }
    }

    /// These requests take so much longer.
    pub(crate) fn delay(method: &'static str, in_path: &str, by: Duration) -> Self {
        Self { method, in_path: in_path.to_owned(), every: 1, asked: 0, act: Act::Delay(by) }
    }

    /// The first of these requests is held.
    pub(crate) fn hold(method: &'static str, in_path: &str, held: &Held) -> Self {
        let act = Act::Hold(held.clone());
        Self { method, in_path: in_path.to_owned(), every: 1, asked: 0, act }
    }

    /// Only to each so manieth of these requests.
    pub(crate) fn every(self, every: u64) -> Self {
        Self { every, ..self }
    }

    fn strikes(&mut self, method: &str, path: &str) -> bool {
        let meant = (self.method.is_empty() || self.method == method) && path.contains(&self.in_path);
        self.asked += u64::from(meant);
        meant && self.asked.is_multiple_of(self.every)
    }
}

/// The proxy.
pub(crate) struct RuledS3 {
    pub(crate) url: String,
    rules: Arc<Mutex<Vec<Rule>>>,
    refused: Arc<AtomicU64>,
}

impl RuledS3 {
    /// A proxy before the server at `url`. It lives as long as the test's process.
    pub(crate) fn new(url: &str, rules: Vec<Rule>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = format!("http://{}", listener.local_addr().expect("an address"));
        let (upstream, refused) = (host(url).to_owned(), Arc::new(AtomicU64::new(0)));
        let rules = Arc::new(Mutex::new(rules));
        let (shared, counted) = (Arc::clone(&rules), Arc::clone(&refused));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (upstream, rules, counted) =
                    (upstream.clone(), Arc::clone(&shared), Arc::clone(&counted));
                // A client that went away is a client that asks again.
                std::thread::spawn(move || relay(client, &upstream, &rules, &counted));
            }
        });
        Self { url: own, rules, refused }
    }

    /// From now on these are its rules.
    pub(crate) fn set(&self, rules: Vec<Rule>) {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// How many requests were refused so far.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Passes one request and its answer; both ends close then, so that no length of an answer need be known.
fn relay(
    mut client: TcpStream,
    upstream: &str,
    rules: &Mutex<Vec<Rule>>,
    refused: &AtomicU64,
) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body)?;
    let (first, rest) = text.split_once("\r\n").unwrap_or((&text, "\r\n"));
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut released = None;
    for act in acts(rules, method, path) {
        match act {
            Act::Hold(held) => released = held.holds().then_some(held),
            Act::Delay(by) => std::thread::sleep(by),
            Act::Refuse(status, code) => {
                refused.fetch_add(1, Ordering::Relaxed);
                let why = format!("<Error><Code>{code}</Code><Message>by a rule of a test</Message></Error>");
                // An answer to a question for facts has no body.
                let why = if method == "HEAD" { "" } else { &why };
                let head = format!(
                    "HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nConnection: close\r\n"
                );
                return write!(client, "{head}Content-Length: {}\r\n\r\n{why}", why.len());
            }
        }
    }
    let mut server = TcpStream::connect(upstream)?;
    write!(server, "{first}\r\nConnection: close\r\n{rest}")?;
    let sent = server.write_all(&body);
    if released.is_none() {
        sent?;
    }
    // A server that does not want the body closes before it has read it, which can cost its answer; and whoever asked may have
    // given up waiting for it.
    let mut answer = Vec::new();
    let read = server.read_to_end(&mut answer);
    if let Some(held) = released {
        held.is(Way::Answered);
    }
    read?;
    client.write_all(&answer)
}

fn acts(rules: &Mutex<Vec<Rule>>, method: &str, path: &str) -> Vec<Act> {
    let mut rules = rules.lock().unwrap_or_else(PoisonError::into_inner);
    rules.iter_mut().filter_map(|rule| rule.strikes(method, path).then(|| rule.act.clone())).collect()
}
