//! What a client says before it is a session: who it is, and what it can.

use crate::dialect::answer::Answer;
use crate::dialect::event::Foreign;
use crate::dialect::foreign;
use crate::dialect::irc::coming::Coming;
use crate::dialect::irc::line::{Message, Unclear};
use crate::dialect::irc::lines::{put, Me};
use crate::dialect::irc::replies::name_refused;
use crate::dialect::request::Refusal;
use crate::hygiene;
use crate::ledger::CloseReason;
use crate::name::Name;

/// A client has sent no more than this when it is registered.
const BYTES_MAX: usize = 4096;

/// A name that is given as USER is cut to this many letters and digits.
const USER_BYTES_MAX: usize = 10;

/// A real name is cut to this many characters.
const REAL_CHARACTERS_MAX: usize = 64;

/// A client that is not registered yet.
#[derive(Debug)]
pub(crate) struct Registration {
    me: Me,
    wanted: Option<Name>,
    /// It has said USER.
    is_known: bool,
    real: Box<str>,
    /// It agrees on capabilities, and will say when that is done.
    agrees: bool,
    /// Bytes of its lines so far.
    bytes: usize,
    /// They end with a CR: a LF or NUL that follows belongs to it.
    after_cr: bool,
}

/// What has come of what a client has sent.
#[derive(Debug)]
pub(in crate::dialect) struct Asked {
    /// What is answered first.
    pub(in crate::dialect) answer: Answer,
    /// It is a session behind the answer.
    pub(in crate::dialect) coming: Option<Box<Coming>>,
    /// It cannot stay, for this reason.
    pub(in crate::dialect) rejected: Option<CloseReason>,
}

/// What comes of a line.
enum Step {
    On,
    /// It leaves, or is told to.
    Over(Option<CloseReason>),
}

impl Registration {
    pub(in crate::dialect) fn new() -> Self {
        Self {
            me: Me::default(),
            wanted: None,
            is_known: false,
            real: "".into(),
            agrees: false,
            bytes: 0,
            after_cr: false,
        }
    }

    /// Takes lines off the front of what a client has sent, until it is registered or there are no more; `None` if
    /// nothing has come of them. The server is called `server`.
    pub(in crate::dialect) fn next(&mut self, bytes: &mut Vec<u8>, server: &str) -> Option<Asked> {
        if *self.me.server != *server {
            self.me.server = server.into();
        }
        let (mut head, mut taken) = (Vec::new(), 0);
        let mut step = Step::On;
        while let Some((line, length)) = self.cut(&bytes[taken..]) {
            taken += length;
            let is_first = self.bytes == 0;
            self.bytes += length;
            step = self.understand(line, is_first, &mut head);
            if self.bytes > BYTES_MAX {
                step = Step::Over(Some(CloseReason::Idle));
            }
            if matches!(step, Step::Over(_)) || self.is_done() {
                break;
            }
        }
        bytes.drain(..taken);
        if self.bytes == 0 && foreign::is_foreign(bytes) {
            step = Step::Over(Some(CloseReason::WrongProtocol));
        } else if self.bytes + bytes.len() > BYTES_MAX && !self.is_done() {
            step = Step::Over(Some(CloseReason::Idle));
        }
        let (is_last, rejected) = match step {
            Step::Over(rejected) => (true, rejected),
            Step::On => (false, None),
        };
        let coming = if is_last { None } else { self.coming() };
        let says_something = !head.is_empty() || is_last || coming.is_some();
        says_something.then(|| Asked {
            answer: Answer {
                head,
                is_last,
                ..Answer::default()
            },
            coming,
            rejected,
        })
    }

    /// The first line of these bytes, and the length of it with its end; `None` if there is no whole line. Lines end as
    /// those of a session do: with LF, CR LF, CR NUL or CR.
    fn cut<'a>(&mut self, bytes: &'a [u8]) -> Option<(&'a [u8], usize)> {
        let belongs = |byte: Option<&u8>| matches!(byte, Some(b'\n' | 0));
        let begin = usize::from(self.after_cr && belongs(bytes.first()));
        let ends = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let end = begin + bytes[begin..].iter().position(ends)?;
        let is_cr = bytes[end] == b'\r';
        let length = end + 1 + usize::from(is_cr && belongs(bytes.get(end + 1)));
        self.after_cr = is_cr && length == bytes.len() && length == end + 1;
        Some((&bytes[begin..end], length))
    }

    /// The name that it wants cannot be had: it is asked for another one. Gives what it is told.
    pub(in crate::dialect) fn refuse(&mut self, refusal: &Refusal) -> Vec<u8> {
        let mut out = Vec::new();
        let wanted = self.wanted.take();
        let wanted = wanted.map(|name| name.text().into_owned());
        name_refused(&self.me, &mut out, &wanted.unwrap_or_default(), refusal);
        out
    }

    fn is_done(&self) -> bool {
        self.is_known && self.wanted.is_some() && !self.agrees
    }

    fn coming(&self) -> Option<Box<Coming>> {
        let name = self.wanted.clone().filter(|_| self.is_done())?;
        Some(Box::new(Coming {
            server: self.me.server.clone(),
            name,
            user: self.me.user.clone(),
            real: self.real.clone(),
            caps: self.me.caps,
        }))
    }

    fn understand(&mut self, line: &[u8], is_first: bool, out: &mut Vec<u8>) -> Step {
        // What else speaks first knows no IRC, and what stands behind it must not speak.
        let is_irc = |foreign| foreign == Foreign::Irc;
        if is_first && foreign::judge(line).is_some_and(|foreign| !is_irc(foreign)) {
            return Step::Over(Some(CloseReason::WrongProtocol));
        }
        let message = match Message::parse(line) {
            Ok(message) => message,
            Err(Unclear::NotUtf8(verb)) => {
                let verb = verb.to_ascii_uppercase();
                let words = "what you type is not UTF-8 and is not readable here";
                self.me
                    .by_server(out, format_args!("FAIL {verb:.20} INVALID_UTF8 :{words}"));
                return Step::On;
            }
            Err(Unclear::Blank | Unclear::TagsTooLong) => return Step::On,
        };
        match &*message.verb.to_ascii_uppercase() {
            "NICK" => self.want(message.param(0), out),
            "USER" if message.param(3).is_none() => {
                self.me.too_few(out, "USER");
            }
            "USER" => {
                self.is_known = true;
                self.me.user = user_of(message.given(0).unwrap_or_default());
                self.real = real_of(message.given(3).unwrap_or_default());
            }
            "CAP" => match message.param(0) {
                None => self.me.too_few(out, "CAP"),
                Some(subcommand) => {
                    let words = message.joined_from(1);
                    let agrees = self.me.obey_cap(out, subcommand, &words);
                    self.agrees = agrees.unwrap_or(self.agrees);
                }
            },
            "PING" => match message.param(0) {
                None => self.me.too_few(out, "PING"),
                Some(token) => {
                    let server = self.me.server.clone();
                    self.me
                        .by_server(out, format_args!("PONG {server} :{token}"));
                }
            },
            "PASS" | "PONG" | "NOTICE" => {}
            "QUIT" => {
                put(out, format_args!("ERROR :goodbye"));
                return Step::Over(None);
            }
            _ => self
                .me
                .numeric(out, 451, format_args!(":You have not registered")),
        }
        Step::On
    }

    fn want(&mut self, nick: Option<&str>, out: &mut Vec<u8>) {
        let Some(nick) = nick else {
            return self
                .me
                .numeric(out, 431, format_args!(":No nickname given"));
        };
        match Name::parse(nick) {
            Ok(name) => self.wanted = Some(name),
            Err(error) => name_refused(&self.me, out, nick, &error.into()),
        }
    }
}

/// What a client gives as USER: its ASCII letters and digits.
fn user_of(text: &str) -> Box<str> {
    let letters = text.chars().filter(char::is_ascii_alphanumeric);
    let user: String = letters.take(USER_BYTES_MAX).collect();
    match &*user {
        "" => "irc".into(),
        _ => user.into(),
    }
}

/// What a client gives as a real name, made fit to be shown.
fn real_of(text: &str) -> Box<str> {
    let clean = hygiene::clean(text.as_bytes());
    clean
        .text
        .chars()
        .take(REAL_CHARACTERS_MAX)
        .collect::<String>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::irc::lines::Caps;

    struct Client {
        registration: Registration,
        server: Box<str>,
        bytes: Vec<u8>,
    }

    impl Client {
        fn new() -> Self {
            Self {
                registration: Registration::new(),
                server: "irc.example.org".into(),
                bytes: Vec::new(),
            }
        }

        fn send(&mut self, text: &str) -> Option<Asked> {
            self.bytes.extend_from_slice(text.as_bytes());
            self.registration.next(&mut self.bytes, &self.server)
        }

        fn told(&mut self, text: &str) -> String {
            let asked = self.send(text);
            let head = asked.map_or_else(Vec::new, |asked| asked.answer.head);
            String::from_utf8(head).unwrap()
        }

        fn comes(&mut self, text: &str) -> Coming {
            let coming = self.send(text).and_then(|asked| asked.coming);
            *coming.unwrap_or_else(|| panic!("{text} is enough"))
        }
    }

    #[test]
    fn nick_and_user_in_any_order_make_a_session() {
        for lines in [
            ["NICK ann\r\n", "USER ann 0 * :Ann Example\r\n"],
            ["USER ~a.nn 0 * :Ann\x02 Example\n", "NICK :ann\n"],
        ] {
            let mut client = Client::new();
            assert!(client.send(lines[0]).is_none());
            let coming = client.comes(lines[1]);
            assert_eq!(coming.name, Name::parse("ann").unwrap());
            assert_eq!((&*coming.user, &*coming.real), ("ann", "Ann Example"));
            assert_eq!(&*coming.server, "irc.example.org");
        }
    }

    #[test]
    fn what_comes_behind_is_for_the_session() {
        let mut client = Client::new();
        client.comes("PASS x\r\nNICK ann\r\nUSER ann 0 * :x\r\nJOIN #lobby\r\n");
        assert_eq!(client.bytes, b"JOIN #lobby\r\n");
    }

    #[test]
    fn a_carriage_return_alone_ends_a_line() {
        let pong = |token| format!(":irc.example.org PONG irc.example.org :{token}\r\n");
        let told = Client::new().told("CAP x\rPING y\n");
        let (unknown, rest) = told.split_once("\r\n").unwrap();
        assert!(
            unknown.contains(" 410 * x ") && !unknown.contains('\r'),
            "{told:?}"
        );
        assert_eq!(rest, pong("y"));
        for end in ["\n", "\r\n", "\r\0", "\r"] {
            let mut client = Client::new();
            let mut told = String::new();
            for byte in format!("PING a{end}PING b{end}").chars() {
                told += &client.told(&byte.to_string());
            }
            assert_eq!(told, pong("a") + &pong("b"), "{end:?}");
            client.comes(&format!("NICK ann{end}USER ann 0 * :x{end}"));
            assert_eq!(client.bytes, b"", "{end:?}");
        }
    }

    #[test]
    fn who_agrees_on_capabilities_says_when_that_is_done() {
        for ask in ["CAP LS 302\r\n", "CAP REQ :server-time\r\n"] {
            let mut client = Client::new();
            assert!(client.told(ask).contains(" CAP * "));
            assert!(client.send("NICK ann\r\nUSER ann 0 * :x\r\n").is_none());
            client.comes("CAP END\r\n");
        }
        let mut client = Client::new();
        client.told("CAP REQ :server-time\r\n");
        assert!(client
            .comes("NICK ann\r\nUSER a 0 * x\r\nCAP END\r\n")
            .caps
            .has(Caps::TIME));
    }

    #[test]
    fn what_is_wrong_is_told_in_numbers() {
        for (line, told) in [
            ("JOIN :\r\n", "451 * :You have not registered"),
            ("NICK\r\n", "431 * :No nickname given"),
            ("NICK :\r\n", "431 * :No nickname given"),
            ("NICK guest5\r\n", "433 * guest5 :guest5 is reserved"),
            ("USER ann\r\n", "461 * USER :Not enough parameters"),
            ("CAP\r\n", "461 * CAP :Not enough parameters"),
            ("PING\r\n", "461 * PING :Not enough parameters"),
            ("PING x\r\n", "PONG irc.example.org :x"),
        ] {
            let expected = format!(":irc.example.org {told}\r\n");
            assert_eq!(Client::new().told(line), expected);
        }
        let told = Client::new().told("NICK #!\r\n");
        assert!(
            told.starts_with(":irc.example.org 432 * #! :a name is 1 to 24 "),
            "{told}"
        );
    }

    #[test]
    fn a_name_that_is_taken_is_asked_for_anew() {
        let mut client = Client::new();
        client.comes("NICK ann\r\nUSER ann 0 * :x\r\n");
        let told = client.registration.refuse(&Refusal::Taken("ann".into()));
        let told = String::from_utf8(told).unwrap();
        assert_eq!(told, ":irc.example.org 433 * ann :ann is taken\r\n");
        assert!(client.send("PONG x\r\n").is_none());
        assert_eq!(client.comes("NICK bob\r\n").name.text(), "bob");
    }

    #[test]
    fn who_speaks_too_much_or_another_protocol_is_turned_away() {
        let rejected = |text: &str| Client::new().send(text).and_then(|asked| asked.rejected);
        assert_eq!(
            rejected("GET / HTTP/1.1\r\n"),
            Some(CloseReason::WrongProtocol)
        );
        assert_eq!(rejected("\x16\x03\x01"), Some(CloseReason::WrongProtocol));
        assert_eq!(rejected("SSH-2.0-x"), Some(CloseReason::WrongProtocol));
        assert_eq!(
            rejected(&"x".repeat(BYTES_MAX + 1)),
            Some(CloseReason::Idle)
        );
        assert_eq!(rejected(&"PASS x\n".repeat(700)), Some(CloseReason::Idle));
        assert_eq!(rejected(&"PASS x\n".repeat(100)), None);
        let asked = Client::new().send("QUIT :bye\r\n").unwrap();
        assert_eq!(asked.answer.head, b"ERROR :goodbye\r\n");
        assert!(asked.answer.is_last && asked.rejected.is_none());
    }
}
