//! Members of ZIP archives, as NumPy writes them (`.npz`): stored or deflated.

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use std::io::{Read, Seek, SeekFrom};

/// What the end of an archive may have behind its last record: a comment.
const END_MAX: u64 = 22 + 65_535;
/// Most bytes of a list of members.
const LIST_MAX: u64 = 16 << 20;
const END: &[u8] = b"PK\x05\x06";
const MEMBER: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

/// One file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// 0: stored, 8: deflated.
    method: u16,
    crc: u32,
    compressed_bytes: u64,
    plain_bytes: u64,
    /// Where its own header begins.
    at: u64,
}

/// The members of an archive, in its order.
///
/// # Errors
/// When it is no archive, or one of a kind that NumPy does not write.
pub(crate) fn members(file: &mut (impl Read + Seek)) -> Result<Vec<Member>, String> {
    let no = |_| "it is no ZIP archive, which an .npz is".to_owned();
    let length = file.seek(SeekFrom::End(0)).map_err(no)?;
    let tail = read_at(file, length.saturating_sub(END_MAX), length.min(END_MAX)).map_err(no)?;
    let end = tail.windows(4).rposition(|window| window == END).map(|at| &tail[at..]);
    let end =
        end.filter(|end| end.len() >= 22).ok_or("it is no ZIP archive, which an .npz is, or cut off")?;
    let (bytes, at) = (u64::from(word(end, 12)), u64::from(word(end, 16)));
    if bytes > LIST_MAX || at.saturating_add(bytes) > length {
        return Err("its list of members is too long".to_owned());
    }
    let list = read_at(file, at, bytes).map_err(|error| error.to_string())?;
    let (mut members, mut rest) = (Vec::new(), list.as_slice());
    while rest.starts_with(MEMBER) && rest.len() >= 46 {
        let [name, extra, comment] = [28, 30, 32].map(|place| usize::from(half(rest, place)));
        let (compressed, plain, at) = (word(rest, 20), word(rest, 24), word(rest, 42));
        let text = rest.get(46..46 + name).ok_or("its list of members is cut off")?;
        if [compressed, plain, at].contains(&u32::MAX) {
            return Err("its members are larger than 4 GiB".to_owned());
        }
        members.push(Member {
            name: String::from_utf8_lossy(text).into_owned(),
            method: half(rest, 10),
            crc: word(rest, 16),
            compressed_bytes: u64::from(compressed),
            plain_bytes: u64::from(plain),
            at: u64::from(at),
        });
        rest = rest.get(46 + name + extra + comment..).unwrap_or_default();
    }
    Ok(members)
}

/// The content of a member, which has its length and its checksum.
///
/// # Errors
/// When it is damaged or of more than `bytes_max` bytes, or its compression is another.
pub(crate) fn content(
    file: &mut (impl Read + Seek),
    member: &Member,
    bytes_max: u64,
) -> Result<Vec<u8>, String> {
    let name = &member.name;
    if member.plain_bytes > bytes_max || member.compressed_bytes > bytes_max {
        return Err(format!("its member {name} takes more memory than is allowed"));
    }
    let no = |error: std::io::Error| format!("its member {name} cannot be read: {error}");
    let header = read_at(file, member.at, 30).map_err(no)?;
    if !header.starts_with(LOCAL) {
        return Err(format!("its member {name} is not where it should be"));
    }
    let start = member.at + 30 + u64::from(half(&header, 26)) + u64::from(half(&header, 28));
    let stored = read_at(file, start, member.compressed_bytes).map_err(no)?;
    let plain = match member.method {
        0 => stored,
        8 => {
            let mut plain = Vec::new();
            let inflated = DeflateDecoder::new(stored.as_slice()).take(member.plain_bytes + 1);
            { inflated }.read_to_end(&mut plain).map_err(no)?;
            plain
        }
        other => {
            return Err(format!("its member {name} has compression {other}, which NumPy does not write"));
        }
    };
    let mut crc = Crc::new();
    crc.update(&plain);
    if plain.len() as u64 == member.plain_bytes && crc.sum() == member.crc {
        Ok(plain)
    } else {
        Err(format!("its member {name} is damaged: length or checksum are others"))
    }
}

fn read_at(file: &mut (impl Read + Seek), at: u64, bytes: u64) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut out = Vec::new();
    file.take(bytes).read_to_end(&mut out)?;
    if (out.len() as u64) < bytes { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(out) }
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from(half(bytes, at)) | u32::from(half(bytes, at + 2)) << 16
}
