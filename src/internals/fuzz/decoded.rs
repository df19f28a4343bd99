//! Bytes of a telnet session as they are meant, told slowly: one byte after the other over the whole stream.

use super::room::LINE_BYTES_MAX;

/// What was meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// A line, as typed but for the keys that took something of it back.
    Line(Vec<u8>),
    /// A line of this many bytes, which are too many.
    TooLong(usize),
    /// A telnet command, whole; its answer is not text.
    Command(Vec<u8>),
    /// A key for leaving, or the command that stands for it.
    Leave,
}

const IAC: u8 = 0xff;
const SB: u8 = 0xfa;
const SE: u8 = 0xf0;
const WILL: u8 = 0xfb;
const DO: u8 = 0xfd;
const DONT: u8 = 0xfe;
const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;
const CTRL_D: u8 = 4;

/// Understands `bytes`, which come in packets of `packet` bytes. Gives how many of the bytes can be understood without
/// knowing what a line editor does: from there on the client may leave the editing to the server.
pub(super) fn decode(bytes: &[u8], packet: usize) -> (Vec<Meant>, usize) {
    let mut stream = Stream::default();
    let is_pause = |at: &usize| at.is_multiple_of(packet) || *at == bytes.len();
    let mut at = 0;
    while at < bytes.len() {
        // If the rest is only the beginning of a command, it means nothing.
        let length = length(&bytes[at..]);
        let end = length.map_or(bytes.len() + 1, |length| at + length);
        if (at + 1..end).any(|at| is_pause(&at)) {
            stream.pause();
        }
        if length.is_some() {
            stream.take(&bytes[at..end]);
            if stream.asked_to_echo && stream.asked_to_suppress {
                return (stream.meant, at);
            }
            if is_pause(&end) {
                stream.pause();
            }
        }
        at = end;
    }
    (stream.meant, bytes.len())
}

/// How many of the bytes belong together; `None` if some are missing.
fn length(bytes: &[u8]) -> Option<usize> {
    if bytes[0] != IAC {
        return Some(1);
    }
    match *bytes.get(1)? {
        WILL..=DONT => bytes.get(2).map(|_| 3),
        SB => subnegotiation_length(bytes),
        _ => Some(2),
    }
}

#[derive(Default)]
struct Stream {
    meant: Vec<Meant>,
    line: Vec<u8>,
    after_cr: bool,
    asked_to_echo: bool,
    asked_to_suppress: bool,
}

impl Stream {
    /// Takes bytes that belong together.
    fn take(&mut self, bytes: &[u8]) {
        let after_cr = std::mem::take(&mut self.after_cr);
        match *bytes {
            [IAC, IAC] => self.line.push(IAC),
            [IAC, verb @ WILL..=DONT, option] => {
                self.asked_to_echo |= (verb, option) == (DO, ECHO);
                self.asked_to_suppress |= (verb, option) == (DO, SUPPRESS_GO_AHEAD);
                self.meant.push(Meant::Command(bytes.to_vec()));
            }
            [IAC, command] => self.obey(command),
            [IAC, ..] => {}
            [b'\n' | 0] if after_cr => {}
            [b'\n'] => self.end_line(),
            [b'\r'] => {
                self.end_line();
                self.after_cr = true;
            }
            _ => self.line.extend(bytes),
        }
    }

    fn obey(&mut self, command: u8) {
        match command {
            // End of file.
            0xec => self.meant.push(Meant::Leave),
            // Erase a character, a line.
            0xf7 => self.line.push(0x7f),
            0xf8 => self.line.push(0x15),
            // Are you there?
            0xf6 => self.meant.push(Meant::Command(vec![IAC, 0xf6])),
            // Ctrl-C, Ctrl-O, Ctrl-Z and Ctrl-\, for which the usual client takes bytes within a character, too.
            0xf3..=0xf5 | 0xed => self.press(command),
            _ => {}
        }
    }

    fn press(&mut self, command: u8) {
        if self.is_within_character() {
            self.line.push(match command {
                0xf4 => 0x83,
                0xf5 => 0x8f,
                0xed => 0x9a,
                _ => 0x9c,
            });
        } else if command == 0xf4 {
            self.line.clear();
            self.meant.push(Meant::Command(vec![IAC, 0xf4]));
        }
    }

    /// Whether the last character of the line lacks bytes: with some that are missing it would be one.
    fn is_within_character(&self) -> bool {
        if self.line.len() > LINE_BYTES_MAX {
            return false;
        }
        (1..=3.min(self.line.len())).any(|length| {
            let tail = &self.line[self.line.len() - length..];
            let lacks = std::str::from_utf8(tail)
                .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none());
            lacks
        })
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.meant.push(if line.len() > LINE_BYTES_MAX {
            Meant::TooLong(line.len())
        } else {
            Meant::Line(edited(&line))
        });
    }

    /// A packet ends here: no line end follows a Ctrl-D that is typed on an empty line.
    fn pause(&mut self) {
        if self.line.len() > LINE_BYTES_MAX {
            return;
        }
        if let Some((&CTRL_D, before)) = self.line.split_last() {
            if edited(before).is_empty() {
                self.line.clear();
                self.meant.push(Meant::Leave);
            }
        }
    }
}

/// From `IAC SB` to `IAC SE`. One that is longer than 64 bytes is given up in the middle.
fn subnegotiation_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    let mut collected = 0;
    while collected <= 64 {
        if *bytes.get(at)? != IAC {
            collected += 1;
            at += 1;
            continue;
        }
        match *bytes.get(at + 1)? {
            SE => return Some(at + 2),
            IAC => collected += 1,
            _ => collected += 2,
        }
        at += 2;
    }
    Some(at)
}

/// Does what Backspace, DEL and Ctrl-U ask for.
fn edited(line: &[u8]) -> Vec<u8> {
    let mut kept: Vec<u8> = Vec::new();
    for &byte in line {
        match byte {
            0x08 | 0x7f => {
                let is_continuation = |byte: &u8| (0x80..0xc0).contains(byte);
                let first = kept.iter().rposition(|byte| !is_continuation(byte));
                kept.truncate(first.unwrap_or(0));
            }
            0x15 => kept.clear(),
            // Half a line end.
            0 => {}
            byte => kept.push(byte),
        }
    }
    kept
}
