//! Conversations written as text, and played with a server.
//!
//! ```text
//! # a comment
//! * connect ann            they connect; the greeting is theirs to read
//! * connect bot wire       a program connects
//! * join bob carl          they connect and take names, and everybody there is told so
//! ann> hello               they send a line
//! ann>> hel                they send just these bytes
//! bob< <ann> hello         the next line that they read, to the byte
//! * finish ann             they send nothing more, but read on
//! * end ann                the server has closed their connection, with nothing more to say
//! * reset ann              they break the connection
//! * quiet                  nobody has anything unread
//! ```
//!
//! `\e`, `\t`, `\r`, `\n`, `\0`, `\\`, `\xFF`, `\u{200B}` and `\{5000 x}` (the text that many times) stand for what
//! cannot be written. A conversation ends with nobody having anything unread.

use std::collections::BTreeMap;
use std::panic::{catch_unwind, AssertUnwindSafe};

use super::person::{NoLine, Person};
use super::server::Server;

/// Plays a conversation with a server; a failure tells `title` and the line.
pub(crate) fn play(title: &str, text: &str, server: &Server) {
    let mut play = Play {
        server,
        cast: BTreeMap::new(),
    };
    let steps = text.lines().enumerate();
    for (index, line) in steps.filter(|(_, line)| is_step(line)) {
        play.perform(title, index + 1, line);
    }
    play.perform(title, text.lines().count(), "* quiet");
}

fn is_step(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with('#')
}

struct Play<'a> {
    server: &'a Server,
    cast: BTreeMap<String, Person>,
}

impl Play<'_> {
    fn perform(&mut self, title: &str, number: usize, line: &str) {
        let step = AssertUnwindSafe(|| self.step(line));
        let outcome = catch_unwind(step).unwrap_or_else(|_| Err("see above".to_owned()));
        if let Err(why) = outcome {
            panic!("{title}:{number}: {line}\n{why}");
        }
    }

    fn step(&mut self, line: &str) -> Result<(), String> {
        if let Some(direction) = line.strip_prefix("* ") {
            return self.direct(direction);
        }
        let Some(at) = line.find(['<', '>']) else {
            return Err("no step of a transcript".to_owned());
        };
        let person = self.person(&line[..at])?;
        let (arrow, rest) = line.split_at(if line[at..].starts_with(">>") {
            at + 2
        } else {
            at + 1
        });
        let bytes = unescaped(rest.strip_prefix(' ').unwrap_or(rest))?;
        match &arrow[at..] {
            ">>" => person.send(&bytes),
            ">" => person.send(&[&bytes, person.line_end().as_bytes()].concat()),
            _ => {
                let wanted = String::from_utf8(bytes).map_err(|error| error.to_string())?;
                let got = person.read_line();
                if got.as_ref() != Ok(&wanted) {
                    return Err(format!("but got: {got:?}"));
                }
            }
        }
        Ok(())
    }

    fn direct(&mut self, direction: &str) -> Result<(), String> {
        let words: Vec<&str> = direction.split_whitespace().collect();
        match words[..] {
            ["connect", name] => self.enter(name, self.server.connect()),
            ["connect", name, "wire"] => self.enter(name, self.server.program()),
            ["join", ref names @ ..] => names.iter().try_for_each(|name| self.join(name))?,
            ["finish", name] => self.person(name)?.finish(),
            ["end", name] => match self.leave(name)?.read_line() {
                Err(NoLine::Ended) => {}
                got => return Err(format!("but got: {got:?}")),
            },
            ["reset", name] => self.leave(name)?.reset(),
            // Twice, for what one person's question let the server come to may have come to the others afterwards.
            ["quiet"] => {
                self.listen()?;
                self.listen()?;
            }
            _ => return Err("no such direction".to_owned()),
        }
        Ok(())
    }

    fn enter(&mut self, name: &str, person: Person) {
        self.cast.insert(name.to_owned(), person);
    }

    fn join(&mut self, name: &str) -> Result<(), String> {
        let newcomer = self.server.join(name);
        let told = format!("-- {name} joined (");
        for (other, person) in self
            .cast
            .iter_mut()
            .filter(|(_, other)| !other.is_program())
        {
            let got = person.read_line();
            if !got.as_ref().is_ok_and(|line| line.starts_with(&told)) {
                return Err(format!("but {other} got: {got:?}"));
            }
        }
        self.enter(name, newcomer);
        Ok(())
    }

    fn listen(&mut self) -> Result<(), String> {
        for (name, person) in &mut self.cast {
            let answer = person.ask();
            let got = person.read_line();
            if got.as_ref() != Ok(&answer) {
                return Err(format!("but {name} got: {got:?}"));
            }
        }
        Ok(())
    }

    fn person(&mut self, name: &str) -> Result<&mut Person, String> {
        let unknown = || format!("nobody here is called {name}");
        self.cast.get_mut(name).ok_or_else(unknown)
    }

    fn leave(&mut self, name: &str) -> Result<Person, String> {
        let unknown = || format!("nobody here is called {name}");
        self.cast.remove(name).ok_or_else(unknown)
    }
}

fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let wrong = || format!("no such escape: {}", &rest[at..]);
        let escape = rest[at + 1..].chars().next().ok_or_else(wrong)?;
        let after = &rest[at + 2..];
        rest = match escape {
            'e' => with(&mut bytes, b"\x1b", after),
            't' => with(&mut bytes, b"\t", after),
            'r' => with(&mut bytes, b"\r", after),
            'n' => with(&mut bytes, b"\n", after),
            '0' => with(&mut bytes, b"\0", after),
            '\\' => with(&mut bytes, b"\\", after),
            'x' => {
                let (digits, after) = after.split_at_checked(2).ok_or_else(wrong)?;
                let byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
                with(&mut bytes, &[byte], after)
            }
            'u' => {
                let after = after.strip_prefix('{').ok_or_else(wrong)?;
                let (digits, after) = after.split_once('}').ok_or_else(wrong)?;
                let number = u32::from_str_radix(digits, 16).map_err(|_| wrong())?;
                let char = char::from_u32(number).ok_or_else(wrong)?;
                with(&mut bytes, char.to_string().as_bytes(), after)
            }
            '{' => {
                let (inside, after) = after.split_once('}').ok_or_else(wrong)?;
                let (times, what) = inside.split_once(' ').ok_or_else(wrong)?;
                let times = times.parse().map_err(|_| wrong())?;
                with(&mut bytes, what.repeat(times).as_bytes(), after)
            }
            _ => return Err(wrong()),
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

fn with<'a>(bytes: &mut Vec<u8>, more: &[u8], rest: &'a str) -> &'a str {
    bytes.extend_from_slice(more);
    rest
}
