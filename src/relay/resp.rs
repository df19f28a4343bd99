//! The words of the engine: RESP2 (redis.io, "Redis serialization protocol specification"), as far as the relay needs it.
//!
//! A reply is told as items, not as a tree, so whatever the engine says, no more of it is kept than one text; and a text
//! that is not whole is not read from its beginning again.

use std::fmt;

/// At most this long is a text, in bytes.
pub(crate) const BULK_BYTES_MAX: usize = 64 * 1024;

/// At most so many items has an array.
const ARRAY_ITEMS_MAX: i64 = 4096;

/// At most so deep do arrays lie in each other.
const NESTING_MAX: usize = 8;

/// At most this long is the line of a status, an error or a number, in bytes.
const LINE_BYTES_MAX: usize = 512;

/// What the engine says is not RESP2, or beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wrong;

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it speaks no RESP2, or too much of it")
    }
}

/// One piece of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Status(&'a [u8]),
    Error(&'a [u8]),
    Number(i64),
    Text(&'a [u8]),
    /// A text or an array that is not there.
    Null,
    /// So many items follow, one level deeper.
    Array(usize),
}

/// A piece of a reply, and where it stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item<'a> {
    /// In how many arrays it lies.
    pub(crate) depth: usize,
    /// How many items of the innermost one stand before it.
    pub(crate) index: usize,
    pub(crate) token: Token<'a>,
    /// It ends the reply.
    pub(crate) ends: bool,
}

/// An array that is being told.
#[derive(Debug, Clone, Copy)]
struct Open {
    told: usize,
    len: usize,
}

/// Reads items from bytes that come in any pieces.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    buffer: Vec<u8>,
    /// So much of it was read.
    read: usize,
    /// Up to here no line end was found behind that.
    searched: usize,
    open: Vec<Open>,
}

impl Reader {
    /// Takes more bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.read);
        self.searched -= self.read;
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// How many bytes wait to be read.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.buffer.len() - self.read
    }

    /// The next item, if it is there whole.
    ///
    /// # Errors
    /// [`Wrong`] if what is there cannot become one; nothing can be read any more.
    pub(crate) fn next(&mut self) -> Result<Option<Item<'_>>, Wrong> {
        let Some(line_end) = self.line_end()? else {
            return Ok(None);
        };
        let (begin, kind) = (self.read + 1, self.buffer[self.read]);
        let line = &self.buffer[begin..line_end];
        let mut behind = line_end + 2;
        let mut text = begin..line_end;
        let number = match kind {
            b'+' | b'-' => 0,
            b':' | b'$' | b'*' => number(line)?,
            _ => return Err(Wrong),
        };
        // `None` for what is not there.
        let len = usize::try_from(number).ok();
        match (kind, number, len) {
            (b'$', _, Some(len)) => {
                if len > BULK_BYTES_MAX {
                    return Err(Wrong);
                }
                if self.buffer.len() < behind + len + 2 {
                    return Ok(None);
                }
                text = behind..behind + len;
                behind += len + 2;
                if self.buffer[text.end..behind] != *b"\r\n" {
                    return Err(Wrong);
                }
            }
            (b'*', 0..=ARRAY_ITEMS_MAX, _) if self.open.len() < NESTING_MAX => {}
            (b'$' | b'*', -1, _) | (b'+' | b'-' | b':', ..) => {}
            _ => return Err(Wrong),
        }
        self.read = behind;
        self.searched = behind;
        let (depth, index, ends) = self.place(len.filter(|_| kind == b'*'));
        let text = &self.buffer[text];
        let token = match kind {
            b'+' => Token::Status(text),
            b'-' => Token::Error(text),
            b':' => Token::Number(number),
            b'$' if len.is_some() => Token::Text(text),
            _ => len.map_or(Token::Null, Token::Array),
        };
        Ok(Some(Item {
            depth,
            index,
            token,
            ends,
        }))
    }

    /// Where the line ends that is to be read next, if it does.
    fn line_end(&mut self) -> Result<Option<usize>, Wrong> {
        let rest = &self.buffer[self.searched..];
        let found = rest.windows(2).position(|pair| pair == b"\r\n");
        let Some(found) = found else {
            // A carriage return may be the first half of the line end.
            self.searched = self.buffer.len().saturating_sub(1).max(self.read);
            let is_too_long = self.buffer.len() - self.read > LINE_BYTES_MAX;
            return if is_too_long { Err(Wrong) } else { Ok(None) };
        };
        let end = self.searched + found;
        if end == self.read || end - self.read > LINE_BYTES_MAX {
            return Err(Wrong);
        }
        // It is found at once when what belongs to it has come.
        self.searched = end;
        Ok(Some(end))
    }

    /// Where the next item stands, which is an array of this length if there is one; and whether it ends the reply.
    fn place(&mut self, array: Option<usize>) -> (usize, usize, bool) {
        let (depth, index) = (self.open.len(), self.open.last().map_or(0, |it| it.told));
        if let Some(open) = self.open.last_mut() {
            open.told += 1;
        }
        if let Some(len) = array {
            self.open.push(Open { told: 0, len });
        }
        while self.open.last().is_some_and(|it| it.told == it.len) {
            self.open.pop();
        }
        (depth, index, self.open.is_empty())
    }
}

/// The number that stands for itself in a line.
fn number(line: &[u8]) -> Result<i64, Wrong> {
    let text = std::str::from_utf8(line).map_err(|_| Wrong)?;
    text.parse().map_err(|_| Wrong)
}

/// Writes a command.
pub(crate) fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    begin_command(out, words.len());
    for word in words {
        add_word(out, word);
    }
}

/// Begins a command of so many words, each of which is to be added.
pub(crate) fn begin_command(out: &mut Vec<u8>, words: usize) {
    out.extend_from_slice(format!("*{words}\r\n").as_bytes());
}

/// Adds a word to a command.
pub(crate) fn add_word(out: &mut Vec<u8>, word: &[u8]) {
    out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
    out.extend_from_slice(word);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All items of these pieces, as text; the last one is `wrong` if the reader says so.
    fn told(pieces: &[&[u8]]) -> Vec<String> {
        let (mut reader, mut told) = (Reader::default(), Vec::new());
        for piece in pieces {
            reader.push(piece);
            loop {
                match reader.next() {
                    Ok(Some(item)) => told.push(format!("{item:?}")),
                    Ok(None) => break,
                    Err(Wrong) => {
                        told.push("wrong".to_owned());
                        return told;
                    }
                }
            }
            assert!(reader.waiting() <= BULK_BYTES_MAX + LINE_BYTES_MAX + 4);
        }
        told
    }

    fn is_wrong(bytes: &[u8]) -> bool {
        told(&[bytes]).last().is_some_and(|last| last == "wrong")
    }

    #[test]
    fn a_reply_is_told_piece_by_piece_with_its_place() {
        let mut reader = Reader::default();
        reader.push(b"*2\r\n*0\r\n*2\r\n$2\r\na\r\r\n:-7\r\n+OK\r\n$-1\r\n-ERR no\r\n");
        let mut items = Vec::new();
        while let Some(item) = reader.next().unwrap() {
            let token = match item.token {
                Token::Text(bytes) => format!("{bytes:?}"),
                token => format!("{token:?}"),
            };
            items.push((item.depth, item.index, token, item.ends));
        }
        let expected = [
            (0, 0, "Array(2)", false),
            (1, 0, "Array(0)", false),
            (1, 1, "Array(2)", false),
            (2, 0, "[97, 13]", false),
            (2, 1, "Number(-7)", true),
            (0, 0, "Status([79, 75])", true),
            (0, 0, "Null", true),
            (0, 0, "Error([69, 82, 82, 32, 110, 111])", true),
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(depth, index, token, ends)| (depth, index, token.to_owned(), ends))
            .collect();
        assert_eq!(items, expected);
    }

    #[test]
    fn what_is_beyond_a_limit_is_wrong() {
        assert!(is_wrong(b"hello\r\n"));
        assert!(is_wrong(b"\r\n"));
        assert!(is_wrong(b":1x\r\n"));
        assert!(is_wrong(b":99999999999999999999\r\n"));
        assert!(is_wrong(b"$-2\r\n"));
        assert!(is_wrong(b"*-2\r\n"));
        assert!(is_wrong(b"$1\r\nab\r\n"));
        assert!(is_wrong(format!("${}\r\n", BULK_BYTES_MAX + 1).as_bytes()));
        assert!(is_wrong(b"*4097\r\n"));
        assert!(!is_wrong(&b"*1\r\n".repeat(NESTING_MAX)));
        assert!(is_wrong(&b"*1\r\n".repeat(NESTING_MAX + 1)));
        assert!(is_wrong(&b"*1\r\n".repeat(200_000)));
        assert!(!is_wrong(&[b'+'; LINE_BYTES_MAX]));
        assert!(is_wrong(&[b'+'; LINE_BYTES_MAX + 1]));
    }

    #[test]
    fn a_command_is_an_array_of_texts() {
        let mut out = Vec::new();
        command(&mut out, &[b"GET", b"a\r\nb"]);
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n");
    }

    /// What an engine may say, and what only looks like it.
    fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => (0..4_usize).prop_map(|len| format!("*{len}\r\n").into_bytes()),
            4 => prop::collection::vec(prop::sample::select(b"\r\nab$*".to_vec()), 0..6).prop_map(|text| {
                let mut out = Vec::new();
                add_word(&mut out, &text);
                out
            }),
            2 => any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
            1 => Just(b"+OK\r\n".to_vec()),
            1 => Just(b"$-1\r\n".to_vec()),
            1 => Just(b"-ERR\r\n".to_vec()),
            1 => prop::collection::vec(prop::sample::select(b"\r\n+-:$*19 ".to_vec()), 0..6),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    /// A reply as a tree, which is what the reader never makes of it.
    #[derive(Debug, Clone)]
    enum Tree {
        Status(String),
        Error(String),
        Number(i64),
        Text(Vec<u8>),
        NoText,
        NoArray,
        Array(Vec<Tree>),
    }

    impl Tree {
        fn write(&self, out: &mut Vec<u8>) {
            match self {
                Self::Status(words) => out.extend(format!("+{words}\r\n").bytes()),
                Self::Error(words) => out.extend(format!("-{words}\r\n").bytes()),
                Self::Number(number) => out.extend(format!(":{number}\r\n").bytes()),
                Self::Text(text) => add_word(out, text),
                Self::NoText => out.extend(b"$-1\r\n"),
                Self::NoArray => out.extend(b"*-1\r\n"),
                Self::Array(items) => {
                    out.extend(format!("*{}\r\n", items.len()).bytes());
                    for item in items {
                        item.write(out);
                    }
                }
            }
        }

        /// What a reader tells of it at this place, as if it did not end the reply.
        fn tell(&self, depth: usize, index: usize, told: &mut Vec<String>) {
            let token = match self {
                Self::Status(words) => Token::Status(words.as_bytes()),
                Self::Error(words) => Token::Error(words.as_bytes()),
                Self::Number(number) => Token::Number(*number),
                Self::Text(text) => Token::Text(text),
                Self::NoText | Self::NoArray => Token::Null,
                Self::Array(items) => Token::Array(items.len()),
            };
            let ends = false;
            told.push(format!(
                "{:?}",
                Item {
                    depth,
                    index,
                    token,
                    ends
                }
            ));
            if let Self::Array(items) = self {
                for (index, item) in items.iter().enumerate() {
                    item.tell(depth + 1, index, told);
                }
            }
        }
    }

    fn any_tree() -> impl Strategy<Value = Tree> {
        let leaf = prop_oneof![
            "[a-zA-Z ]{0,9}".prop_map(Tree::Status),
            "[A-Z]{1,5} [a-z *$:]{0,9}".prop_map(Tree::Error),
            any::<i64>().prop_map(Tree::Number),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Tree::Text),
            Just(Tree::NoText),
            Just(Tree::NoArray),
        ];
        leaf.prop_recursive(NESTING_MAX as u32, 40, 6, |item| {
            prop::collection::vec(item, 0..6).prop_map(Tree::Array)
        })
    }

    proptest! {
        #[test]
        fn what_is_told_is_the_tree_that_was_written(trees in prop::collection::vec(any_tree(), 0..4)) {
            let (mut bytes, mut expected) = (Vec::new(), Vec::new());
            for tree in &trees {
                tree.write(&mut bytes);
                tree.tell(0, 0, &mut expected);
                let last = expected.last_mut().expect("at least one item is told");
                *last = last.replace("ends: false", "ends: true");
            }
            prop_assert_eq!(told(&[&bytes]), expected);
        }

        #[test]
        fn every_split_equals_unsplit(
            bytes in any_bytes(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(told(&[&bytes]), told(&pieces));
            let singly: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(told(&[&bytes]), told(&singly));
        }
    }
}
