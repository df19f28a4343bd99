//! What a browser says before it is a session, and what it is answered.

use std::fmt::Write;
use std::net::IpAddr;

use bytes::Bytes;

use crate::dialect::answer::Answer;
use crate::dialect::event::Farewell;
use crate::dialect::web::coming::Coming;
use crate::dialect::web::head::{Request, Wish};
use crate::dialect::web::page::{Site, POLICY};
use crate::ledger::CloseReason;

/// With every answer: what a page can be made to do with it.
const ALWAYS: &str = "X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: no-referrer\r\n\
    Cross-Origin-Opener-Policy: same-origin\r\n\
    Cache-Control: no-cache\r\n";

/// What a connection has asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) answer: Answer,
    /// Whose connection it is, as front ends say: the client first.
    pub(crate) forwarded: Vec<IpAddr>,
    /// It is a session behind the answer.
    pub(crate) coming: Option<Coming>,
}

/// Takes a whole request off the front of what a connection to this port has sent; `None` if there is none yet.
pub(crate) fn answer(bytes: &mut Vec<u8>, site: &Site, port: u16) -> Option<Asked> {
    let (length, request) = Request::parse(bytes, |host| site.is_called(host, port))?;
    bytes.drain(..length);
    let Request {
        wish,
        head_only,
        is_last,
        forwarded,
    } = request;
    let mut session = None;
    let answer = match wish {
        Wish::Socket { accept, coming } => {
            session = Some(coming);
            Answer {
                head: switch(&accept),
                ..Answer::default()
            }
        }
        Wish::Page { known } if known.as_deref() == Some(&site.tag) => {
            let tag = format!("ETag: {}\r\n", site.tag);
            respond(304, &tag, Bytes::new(), true, is_last)
        }
        Wish::Page { .. } => {
            let page = format!(
                "Content-Type: text/html; charset=utf-8\r\n\
                     Content-Security-Policy: {POLICY}\r\nETag: {}\r\n",
                site.tag
            );
            respond(200, &page, site.page.clone(), head_only, is_last)
        }
        Wish::NoUpgrade => {
            let how = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
            text(426, how, "a WebSocket is here\n".into(), head_only, is_last)
        }
        Wish::Refused(status) => {
            let allow = if status == 405 {
                "Allow: GET, HEAD\r\n"
            } else {
                ""
            };
            text(
                status,
                allow,
                format!("{}\n", reason(status)),
                head_only,
                is_last,
            )
        }
    };
    Some(Asked {
        answer,
        forwarded,
        coming: session,
    })
}

/// The answer that makes a WebSocket of a connection. It names no extension: one that compresses would make another
/// frame for each who hears it.
fn switch(accept: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

fn text(status: u16, more: &str, text: String, head_only: bool, is_last: bool) -> Answer {
    let more = format!("Content-Type: text/plain; charset=utf-8\r\n{more}");
    respond(status, &more, text.into(), head_only, is_last)
}

fn respond(status: u16, more: &str, body: Bytes, head_only: bool, is_last: bool) -> Answer {
    let mut head = format!("HTTP/1.1 {status} {}\r\n{ALWAYS}{more}", reason(status));
    // Writing to a String cannot fail.
    if status != 304 {
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    if is_last {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    Answer {
        head: head.into_bytes(),
        body: if head_only { Bytes::new() } else { body },
        is_last,
    }
}

/// What a status is called (RFC 9110, section 15).
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        _ => "Service Unavailable",
    }
}

/// Adds the answer to who cannot come in.
pub(in crate::dialect) fn refuse(farewell: Farewell<'_>, out: &mut Vec<u8>) {
    let status = match farewell.reason {
        CloseReason::Banned => 403,
        CloseReason::PerAddress | CloseReason::ConnectRate => 429,
        _ => 503,
    };
    let words = farewell.words().unwrap_or_default();
    let answer = text(status, "", format!("{words}\n"), false, true);
    out.extend_from_slice(&answer.head);
    out.extend_from_slice(&answer.body);
}
