//! A client that talks as programs do (`docs/wire.md`).

use crate::dialect::message::{is_goodbye, Ask, Inexpressible, Message, Refusal};
use crate::dialect::wire;

/// Adds the line that asks for this.
pub(in crate::dialect) fn encode(ask: Ask<'_>, out: &mut Vec<u8>) -> Result<(), Inexpressible> {
    match ask {
        Ask::Name(name) => wire::line(out, "NAME", &[name]),
        Ask::Words { name, words } => wire::line(out, "CHAT", &[name, words]),
        // The place of the verb `TELL`, which servers do not have yet.
        Ask::Tell { .. } => return Err(Inexpressible::NoSuchRequest),
        Ask::Ping(token) => {
            let token = wire::token_of(token.as_bytes()).ok_or(Inexpressible::MalformedToken)?;
            out.extend_from_slice(format!("PING {token}\n").as_bytes());
        }
        Ask::Quit => wire::line(out, "QUIT", &[]),
    }
    Ok(())
}

/// Understands a line of a server. `scratch` holds what was decoded.
pub(in crate::dialect) fn parse<'a>(
    line: &'a [u8],
    scratch: &'a mut Vec<u8>,
) -> Option<Message<'a>> {
    let mut fields = line.split(|byte| *byte == b' ');
    let (verb, first, second) = (fields.next()?, fields.next()?, fields.next());
    if fields.next().is_some() {
        return None;
    }
    if let (b"PONG", None) = (verb, second) {
        return wire::token_of(first).map(|token| Message::Pong(token.into()));
    }
    scratch.clear();
    wire::decode_into(first, scratch)?;
    let first_end = scratch.len();
    if verb != b"FAIL" {
        if let Some(second) = second {
            wire::decode_into(second, scratch)?;
        }
    }
    let (first, rest) = scratch.split_at(first_end);
    let (first, rest) = (
        std::str::from_utf8(first).ok()?,
        std::str::from_utf8(rest).ok()?,
    );
    let (name, words) = (first.into(), rest.into());
    Some(match (verb, second) {
        (b"CHAT", Some(_)) => match wire::action(rest) {
            Some(action) => Message::Did {
                name,
                words: action.into(),
            },
            None => Message::Said { name, words },
        },
        // No server says this yet.
        (b"TELL", Some(_)) => Message::Told { name, words },
        (b"NAME", None) => Message::Named(name),
        // The place of a code, the second field, which says more shortly what the words say.
        (b"FAIL", _) if is_goodbye(first) => Message::Goodbye(name),
        (b"FAIL", _) => Message::Refused(Refusal::new(name)),
        _ => return None,
    })
}
