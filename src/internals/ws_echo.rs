//! A server that says back what it is told over a WebSocket, to hold our framing against the cases of others.

use std::io::{self, Read, Write};

use crate::dialect::web::frames::{push, push_close, Decoder, Found, Opcode};
use crate::dialect::web::{answer, Site};

/// A message may have this many bytes.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Serves one connection until it is closed.
///
/// # Errors
/// If the connection breaks.
pub fn ws_echo(stream: &mut (impl Read + Write)) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let asked = loop {
        let length = stream.read(&mut buffer)?;
        bytes.extend_from_slice(&buffer[..length]);
        match answer(&mut bytes, &Site::default(), 0) {
            Some(asked) => break asked,
            None if length == 0 => return Ok(()),
            None => {}
        }
    };
    stream.write_all(&asked.answer.head)?;
    stream.write_all(&asked.answer.body)?;
    if asked.coming.is_none() {
        return Ok(());
    }
    let mut decoder = Decoder::of_both_kinds();
    loop {
        let (mut input, mut out) = (&bytes[..], Vec::new());
        while let Some(found) = decoder.next(&mut input, MESSAGE_BYTES_MAX) {
            let is_over = say_back(found, &mut out);
            if is_over {
                return stream.write_all(&out);
            }
        }
        stream.write_all(&out)?;
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        bytes.clear();
        bytes.extend_from_slice(&buffer[..length]);
    }
}

/// Adds the answer; gives whether it is the last one.
fn say_back(found: Found, out: &mut Vec<u8>) -> bool {
    match found {
        Found::Text(text) => push(out, Opcode::Text, |out| out.extend(text.into_bytes())),
        Found::Binary(bytes) => push(out, Opcode::Binary, |out| out.extend(bytes)),
        Found::Ping(payload) => push(out, Opcode::Pong, |out| out.extend(payload)),
        Found::Pong | Found::TooLong(_) => {}
        Found::Close(code) => {
            push_close(out, code);
            return true;
        }
        Found::Broken(code) => {
            push_close(out, Some(code));
            return true;
        }
    }
    false
}
