//! Asking a port of this machine whether somebody is there.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// A connection to a port of this machine that gives up soon.
pub(super) fn connect(port: u16) -> std::io::Result<TcpStream> {
    let limit = Duration::from_secs(2);
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), limit)?;
    stream.set_read_timeout(Some(limit))?;
    Ok(stream)
}

/// Whether an HTTP answer comes back, whatever it says.
pub(super) fn answers_http(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = connect(port)?;
        write!(stream, "GET /version HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
        let mut start = [0; 5];
        stream.read_exact(&mut start)?;
        Ok(&start == b"HTTP/")
    };
    ask().unwrap_or(false)
}

/// How many brokers a Kafka names (Metadata request, version 4, of its protocol guide). An open port alone comes
/// earlier than a broker that serves.
pub(super) fn brokers_named_by(port: u16) -> std::io::Result<u32> {
    const METADATA: [u8; 2] = [0, 3];
    const VERSION: [u8; 2] = [0, 4];
    const CORRELATION: [u8; 4] = [0; 4];
    const NO_CLIENT_NAME: [u8; 2] = [0xff; 2];
    const NO_TOPICS: [u8; 4] = [0; 4];
    const MAKE_NONE: [u8; 1] = [0];
    let request = [&METADATA[..], &VERSION, &CORRELATION, &NO_CLIENT_NAME, &NO_TOPICS, &MAKE_NONE].concat();
    let mut stream = connect(port)?;
    stream.write_all(&(request.len() as u32).to_be_bytes())?;
    stream.write_all(&request)?;
    // Length, correlation id, throttle time, number of brokers.
    let mut answer = [0; 16];
    stream.read_exact(&mut answer)?;
    Ok(u32::from_be_bytes([answer[12], answer[13], answer[14], answer[15]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_broker_does_not_answer_as_one() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 400").unwrap();
        });
        assert!(brokers_named_by(port).is_err());
        server.join().unwrap();
        assert!(!answers_http(port));
    }
}
