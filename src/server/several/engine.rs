//! An engine that does what a script says: as much of Redis as the relay asks for, and what can befall it.

use std::collections::{BTreeMap, VecDeque};

/// The place of an entry in a stream.
type Id = (u64, u64);

/// An entry: its place and its fields.
type Entry = (Id, Vec<Vec<u8>>);

/// A stream, and a place in it behind which entries are wanted.
type Behind = (Vec<u8>, Id);

/// What is kept under a key.
#[derive(Debug, Clone)]
enum Value {
    Text(Vec<u8>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    Stream(Vec<Entry>),
}

/// A connection, as the engine sees it.
#[derive(Debug, Default)]
struct Connection {
    input: Vec<u8>,
    output: VecDeque<u8>,
    /// Commands since MULTI.
    queued: Option<Vec<Vec<Vec<u8>>>>,
    /// It waits for entries of these streams, behind these places, until then.
    waits: Option<(u64, Vec<Behind>)>,
}

/// How an engine comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    Whole,
    Empty,
    /// The last so many entries of its log are gone.
    Without(usize),
}

/// The engine.
#[derive(Debug, Default)]
pub(super) struct Engine {
    values: BTreeMap<Vec<u8>, Value>,
    expire_at: BTreeMap<Vec<u8>, u64>,
    connections: BTreeMap<usize, Connection>,
    last_connection: usize,
    /// Its clock, in milliseconds; that of ids may be set back.
    now: u64,
    behind: u64,
    last_id: Id,
    pub(super) is_down: bool,
    /// It does nothing until then.
    pub(super) stands_until: u64,
    /// So many commands are answered with this.
    pub(super) errors: (usize, &'static str),
}

impl Engine {
    /// A new connection; `None` where nobody listens.
    pub(super) fn connect(&mut self) -> Option<usize> {
        if self.is_down {
            return None;
        }
        self.last_connection += 1;
        self.connections
            .insert(self.last_connection, Connection::default());
        Some(self.last_connection)
    }

    pub(super) fn close(&mut self, connection: usize) {
        self.connections.remove(&connection);
    }

    pub(super) fn is_open(&self, connection: usize) -> bool {
        self.connections.contains_key(&connection)
    }

    /// Breaks all connections.
    pub(super) fn cut(&mut self) {
        self.connections.clear();
    }

    /// It dies; [`Engine::come_back`] ends that.
    pub(super) fn die(&mut self) {
        self.cut();
        self.is_down = true;
    }

    pub(super) fn come_back(&mut self, memory: Memory, clock_behind: u64) {
        self.is_down = false;
        self.behind = clock_behind;
        match memory {
            Memory::Whole => {}
            Memory::Empty => self.empty(),
            Memory::Without(lost) => {
                for value in self.values.values_mut() {
                    if let Value::Stream(entries) = value {
                        entries.truncate(entries.len().saturating_sub(lost));
                    }
                }
                self.last_id = self.log_end();
            }
        }
    }

    /// All keys are deleted.
    pub(super) fn empty(&mut self) {
        self.values.clear();
        self.expire_at.clear();
        self.last_id = (0, 0);
    }

    fn log_end(&self) -> Id {
        let streams = self.values.values().filter_map(|value| match value {
            Value::Stream(entries) => entries.last().map(|entry| entry.0),
            _ => None,
        });
        streams.max().unwrap_or_default()
    }

    /// Bytes come from a client.
    pub(super) fn take(&mut self, connection: usize, bytes: &[u8]) {
        if let Some(it) = self.connections.get_mut(&connection) {
            it.input.extend_from_slice(bytes);
        }
    }

    /// At most so many bytes for a client.
    pub(super) fn give(&mut self, connection: usize, most: usize) -> Vec<u8> {
        let Some(it) = self.connections.get_mut(&connection) else {
            return Vec::new();
        };
        let count = it.output.len().min(most);
        it.output.drain(..count).collect()
    }

    /// Does all that has come until this time.
    pub(super) fn go_on(&mut self, now: u64) {
        self.now = now;
        if self.is_down || now < self.stands_until {
            return;
        }
        let gone: Vec<Vec<u8>> = self
            .expire_at
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            self.expire_at.remove(&key);
            self.values.remove(&key);
        }
        for number in self.connections.keys().copied().collect::<Vec<_>>() {
            self.wake(number);
            while let Some(command) = self.next_command(number) {
                let answer = self.obey(number, command);
                self.answer(number, &answer);
            }
        }
        for number in self.connections.keys().copied().collect::<Vec<_>>() {
            self.wake(number);
        }
    }

    fn answer(&mut self, connection: usize, bytes: &[u8]) {
        if let Some(it) = self.connections.get_mut(&connection) {
            it.output.extend(bytes);
        }
    }

    /// The next command that is there whole, if the connection does not wait.
    fn next_command(&mut self, connection: usize) -> Option<Vec<Vec<u8>>> {
        let it = self.connections.get_mut(&connection)?;
        if it.waits.is_some() {
            return None;
        }
        let mut at = 0;
        let mut number = |sign: u8| {
            let rest = &it.input[at..];
            let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
            assert_eq!(rest[0], sign, "commands are arrays of texts");
            let text = std::str::from_utf8(&rest[1..end]).expect("a number");
            let begin = at + end + 2;
            let count: usize = text.parse().expect("a number");
            at = if sign == b'$' {
                begin + count + 2
            } else {
                begin
            };
            (at <= it.input.len()).then_some((count, begin))
        };
        let (count, _) = number(b'*')?;
        let mut words = Vec::new();
        for _ in 0..count {
            let (bytes, begin) = number(b'$')?;
            words.push(it.input[begin..begin + bytes].to_vec());
        }
        it.input.drain(..at);
        Some(words)
    }

    fn obey(&mut self, connection: usize, command: Vec<Vec<u8>>) -> Vec<u8> {
        if self.errors.0 > 0 {
            self.errors.0 -= 1;
            if let Some(it) = self.connections.get_mut(&connection) {
                // What follows is no transaction any more.
                it.queued = None;
            }
            return format!("-{}\r\n", self.errors.1).into_bytes();
        }
        let verb = command[0].to_ascii_uppercase();
        let it = self.connections.get_mut(&connection).expect("it is there");
        match (&*verb, &mut it.queued) {
            (b"MULTI", queued) => {
                *queued = Some(Vec::new());
                b"+OK\r\n".to_vec()
            }
            (b"EXEC", queued) => {
                let Some(commands) = queued.take() else {
                    return b"-ERR EXEC without MULTI\r\n".to_vec();
                };
                let mut answer = format!("*{}\r\n", commands.len()).into_bytes();
                for command in commands {
                    answer.extend(self.do_one(connection, &command));
                }
                answer
            }
            (_, Some(queued)) => {
                queued.push(command);
                b"+QUEUED\r\n".to_vec()
            }
            _ => self.do_one(connection, &command),
        }
    }

    fn do_one(&mut self, connection: usize, words: &[Vec<u8>]) -> Vec<u8> {
        let text = |index: usize| String::from_utf8_lossy(&words[index]).into_owned();
        match &*text(0) {
            "SET" => {
                let has = |word: &str| words.iter().any(|it| *it == word.as_bytes());
                if has("NX") && self.values.contains_key(&words[1]) {
                    return b"$-1\r\n".to_vec();
                }
                self.values
                    .insert(words[1].clone(), Value::Text(words[2].clone()));
                if has("PX") {
                    self.expire(&words[1], &text(4));
                }
                b"+OK\r\n".to_vec()
            }
            "GET" => self.get(&words[1]),
            "MGET" => {
                let mut answer = format!("*{}\r\n", words.len() - 1).into_bytes();
                for key in &words[1..] {
                    answer.extend(self.get(key));
                }
                answer
            }
            "DEL" => {
                for key in &words[1..] {
                    self.values.remove(key);
                }
                b":1\r\n".to_vec()
            }
            "PEXPIRE" => {
                if self.values.contains_key(&words[1]) {
                    self.expire(&words[1], &text(2));
                }
                b":1\r\n".to_vec()
            }
            "INCRBY" => {
                let before = match self.values.get(&words[1]) {
                    Some(Value::Text(text)) => {
                        String::from_utf8_lossy(text).parse().expect("a number")
                    }
                    _ => 0,
                };
                let after = before + text(2).parse::<u64>().expect("a number");
                self.values.insert(
                    words[1].clone(),
                    Value::Text(after.to_string().into_bytes()),
                );
                format!(":{after}\r\n").into_bytes()
            }
            "HSET" => {
                self.hash(&words[1])
                    .insert(words[2].clone(), words[3].clone());
                b":1\r\n".to_vec()
            }
            "HDEL" => {
                self.hash(&words[1]).remove(&words[2]);
                b":1\r\n".to_vec()
            }
            "HSCAN" => {
                let pairs: Vec<Vec<u8>> = self
                    .hash(&words[1])
                    .iter()
                    .flat_map(|(key, value)| [key.clone(), value.clone()])
                    .collect();
                let mut answer = b"*2\r\n$1\r\n0\r\n".to_vec();
                answer.extend(texts(&pairs));
                answer
            }
            "XADD" => self.add(&words[1], &text(4), &words[6..]),
            "XRANGE" | "XREVRANGE" => self.range(words),
            "XREAD" => {
                let names = [words[6].clone(), words[7].clone()];
                let places = [parse(&text(8)), parse(&text(9))];
                let until = self.now + text(4).parse::<u64>().expect("a number");
                let it = self.connections.get_mut(&connection).expect("it is there");
                it.waits = Some((until, names.into_iter().zip(places).collect()));
                Vec::new()
            }
            other => panic!("{other} is not asked for"),
        }
    }

    fn expire(&mut self, key: &[u8], milliseconds: &str) {
        let at = self.now + milliseconds.parse::<u64>().expect("a number");
        self.expire_at.insert(key.to_vec(), at);
    }

    fn get(&self, key: &[u8]) -> Vec<u8> {
        match self.values.get(key) {
            Some(Value::Text(value)) => bulk(value),
            _ => b"$-1\r\n".to_vec(),
        }
    }

    fn hash(&mut self, key: &[u8]) -> &mut BTreeMap<Vec<u8>, Vec<u8>> {
        let value = self
            .values
            .entry(key.to_vec())
            .or_insert_with(|| Value::Hash(BTreeMap::new()));
        match value {
            Value::Hash(hash) => hash,
            other => panic!("{other:?} is no hash"),
        }
    }

    fn stream(&self, key: &[u8]) -> &[Entry] {
        match self.values.get(key) {
            Some(Value::Stream(entries)) => entries,
            _ => &[],
        }
    }

    fn add(&mut self, key: &[u8], most: &str, fields: &[Vec<u8>]) -> Vec<u8> {
        let time = (1_000_000 + self.now).saturating_sub(self.behind);
        let id = if time > self.last_id.0 {
            (time, 0)
        } else {
            (self.last_id.0, self.last_id.1 + 1)
        };
        self.last_id = id;
        let most: usize = most.parse().expect("a number");
        let value = self
            .values
            .entry(key.to_vec())
            .or_insert_with(|| Value::Stream(Vec::new()));
        let Value::Stream(entries) = value else {
            panic!("{value:?} is no stream");
        };
        entries.push((id, fields.to_vec()));
        let excess = entries.len().saturating_sub(most);
        entries.drain(..excess);
        bulk(shown(id).as_bytes())
    }

    fn range(&self, words: &[Vec<u8>]) -> Vec<u8> {
        let count = words.get(5).map_or(usize::MAX, |count| {
            String::from_utf8_lossy(count).parse().expect("a number")
        });
        let entries = self.stream(&words[1]);
        let chosen: Vec<&Entry> = match (&*words[0], &*words[2]) {
            (b"XREVRANGE", _) => entries.iter().rev().take(count).collect(),
            (_, id) => {
                let id = parse(&String::from_utf8_lossy(id));
                entries.iter().filter(|entry| entry.0 == id).collect()
            }
        };
        told(&chosen)
    }

    /// Answers who waits for entries, if there are some, or they have waited for long enough.
    fn wake(&mut self, connection: usize) {
        let waits = self
            .connections
            .get(&connection)
            .and_then(|it| it.waits.clone());
        let Some((until, streams)) = waits else {
            return;
        };
        let mut answer = Vec::new();
        let mut found = 0;
        for (key, place) in &streams {
            let entries = self.stream(key).iter().filter(|entry| entry.0 > *place);
            let entries: Vec<&Entry> = entries.take(64).collect();
            if !entries.is_empty() {
                found += 1;
                answer.extend_from_slice(b"*2\r\n");
                answer.extend(bulk(key));
                answer.extend(told(&entries));
            }
        }
        let answer = match found {
            0 if self.now < until => return,
            0 => b"*-1\r\n".to_vec(),
            found => [format!("*{found}\r\n").into_bytes(), answer].concat(),
        };
        if let Some(it) = self.connections.get_mut(&connection) {
            it.waits = None;
        }
        self.answer(connection, &answer);
    }
}

fn bulk(text: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat()
}

fn texts(all: &[Vec<u8>]) -> Vec<u8> {
    let mut answer = format!("*{}\r\n", all.len()).into_bytes();
    answer.extend(all.iter().flat_map(|text| bulk(text)));
    answer
}

fn told(entries: &[&Entry]) -> Vec<u8> {
    let mut answer = format!("*{}\r\n", entries.len()).into_bytes();
    for (id, fields) in entries {
        answer.extend_from_slice(b"*2\r\n");
        answer.extend(bulk(shown(*id).as_bytes()));
        answer.extend(texts(fields));
    }
    answer
}

fn shown(id: Id) -> String {
    format!("{}-{}", id.0, id.1)
}

fn parse(text: &str) -> Id {
    let (time, number) = text.split_once('-').expect("an id");
    (
        time.parse().expect("a number"),
        number.parse().expect("a number"),
    )
}
