//! One line as clients send it: `[@tags ][:source ]VERB params[ :trailing]` (RFC 2812, section 2.3.1; `IRCv3` message tags).

/// Tags may have this many bytes, with the `@` and the space around them (`IRCv3`, message tags).
const TAGS_BYTES_MAX: usize = 4096;

/// No verb that we know has more parameters; further ones are not looked at.
const PARAMS_MAX: usize = 15;

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// As it was sent, in either case.
    pub(super) verb: &'a str,
    params: [&'a str; PARAMS_MAX],
    count: usize,
}

/// Why a line cannot be understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unclear<'a> {
    /// There is no verb in it.
    Blank,
    /// It is not UTF-8; its verb, as far as that can be read.
    NotUtf8(&'a str),
    /// Its tags are too long.
    TagsTooLong,
}

impl<'a> Message<'a> {
    /// Understands a line without its end.
    ///
    /// # Errors
    /// If there is no verb, or the line cannot be read.
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, Unclear<'a>> {
        let text = match std::str::from_utf8(line) {
            Ok(text) => text,
            Err(error) => {
                let (readable, _) = line.split_at(error.valid_up_to());
                let readable = std::str::from_utf8(readable).unwrap_or_default();
                let rest = without_prefixes(readable).unwrap_or_default();
                return Err(Unclear::NotUtf8(word(rest).0));
            }
        };
        let rest = without_prefixes(text).ok_or(Unclear::TagsTooLong)?;
        let (verb, mut rest) = word(rest);
        if verb.is_empty() {
            return Err(Unclear::Blank);
        }
        let (mut params, mut count) = ([""; PARAMS_MAX], 0);
        while count < PARAMS_MAX && !rest.is_empty() {
            let (param, behind) = match rest.strip_prefix(':') {
                Some(trailing) => (trailing, ""),
                None if count + 1 == PARAMS_MAX => (rest, ""),
                None => word(rest),
            };
            params[count] = param;
            count += 1;
            rest = behind;
        }
        Ok(Self {
            verb,
            params,
            count,
        })
    }

    /// How many parameters there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// A parameter, counted from 0; `None` if there is none or it is empty.
    pub(super) fn param(&self, index: usize) -> Option<&'a str> {
        let given = self.params[..self.count].get(index).copied();
        given.filter(|param| !param.is_empty())
    }

    /// The same, also if it is empty.
    pub(super) fn given(&self, index: usize) -> Option<&'a str> {
        self.params[..self.count].get(index).copied()
    }

    /// The parameters from this one on, with a space between them.
    pub(super) fn joined_from(&self, index: usize) -> String {
        self.params[index.min(self.count)..self.count].join(" ")
    }
}

/// The line without its tags and its source, which say nothing to a server; `None` if the tags are too long.
fn without_prefixes(line: &str) -> Option<&str> {
    let mut rest = line.trim_start_matches(' ');
    if rest.starts_with('@') {
        let (tags, behind) = word(rest);
        if tags.len() >= TAGS_BYTES_MAX {
            return None;
        }
        rest = behind;
    }
    if rest.starts_with(':') {
        rest = word(rest).1;
    }
    Some(rest)
}

/// The first word, and what stands behind it and the spaces there.
fn word(text: &str) -> (&str, &str) {
    match text.split_once(' ') {
        Some((word, rest)) => (word, rest.trim_start_matches(' ')),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> (String, Vec<String>) {
        let message = Message::parse(line.as_bytes()).expect("it has a verb");
        let params = message.params[..message.count].iter();
        let params = params.map(|param| (*param).to_owned()).collect();
        (message.verb.to_owned(), params)
    }

    #[test]
    fn a_line_is_a_verb_and_its_parameters() {
        for (line, verb, params) in [
            ("PING", "PING", &[][..]),
            ("NICK ann", "NICK", &["ann"]),
            (
                "PRIVMSG #lobby :hello there",
                "PRIVMSG",
                &["#lobby", "hello there"],
            ),
            ("PRIVMSG #lobby hello", "PRIVMSG", &["#lobby", "hello"]),
            ("PRIVMSG  #lobby  ::) x", "PRIVMSG", &["#lobby", ":) x"]),
            ("TOPIC #lobby :", "TOPIC", &["#lobby", ""]),
            ("@a=b;c :ann!u@h  MODE x  ", "MODE", &["x"]),
            (":ann QUIT", "QUIT", &[]),
            ("  JOIN #罗", "JOIN", &["#罗"]),
        ] {
            let expected = params.iter().map(|param| (*param).to_owned()).collect();
            assert_eq!(parsed(line), (verb.to_owned(), expected), "{line}");
        }
        let many: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let (_, params) = parsed(&format!("X {}", many.join(" ")));
        assert_eq!(params.len(), PARAMS_MAX);
        assert_eq!(params[14], "14 15 16 17 18 19");
    }

    #[test]
    fn what_cannot_be_understood_says_why() {
        for blank in ["", " ", ":ann", "@tag ", "@tag :ann "] {
            let message = Message::parse(blank.as_bytes());
            assert_eq!(message, Err(Unclear::Blank), "{blank}");
        }
        let message = Message::parse(b":x PRIVMSG #lobby :\xe9t\xe9");
        assert_eq!(message, Err(Unclear::NotUtf8("PRIVMSG")));
        let long = format!("@{} PING x", "a".repeat(TAGS_BYTES_MAX));
        assert_eq!(Message::parse(long.as_bytes()), Err(Unclear::TagsTooLong));
        let fits = format!("@{} PING x", "a".repeat(TAGS_BYTES_MAX - 2));
        assert_eq!(parsed(&fits).0, "PING");
    }
}
