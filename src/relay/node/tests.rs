//! A relay whose engine is played by the test, one answer after the other.

use super::*;
use crate::relay::hearing::NODES_MAX;
use crate::relay::record::Event;
use crate::test_clock::outset;

const PATIENCE: Duration = Duration::from_secs(1);

/// A relay, and what it has asked for and was not answered.
struct Talk {
    relay: Relay,
    now: Instant,
    asked: [VecDeque<Vec<String>>; 2],
    /// Who was told of in the log, each time.
    joins: usize,
}

impl Talk {
    fn new() -> Self {
        let options = Options {
            patience: PATIENCE,
            ..Options::for_tests()
        };
        let now = outset();
        let mut talk = Self {
            relay: Relay::new(options, 1, now),
            now,
            asked: Default::default(),
            joins: 0,
        };
        talk.connect();
        talk
    }

    fn connect(&mut self) {
        while let Some((line, _)) = self.relay.take_dial(self.now) {
            self.relay.handle_connected(line, self.now);
        }
        self.look();
    }

    /// Takes what the relay writes.
    fn look(&mut self) {
        for line in Line::ALL {
            let out = std::mem::take(self.relay.output(line, self.now));
            let text = String::from_utf8(out).unwrap();
            let mut parts = text.split_terminator("\r\n");
            while let Some(head) = parts.next() {
                let count: usize = head.strip_prefix('*').unwrap().parse().unwrap();
                // The length of a word stands before it.
                let word = |_| parts.nth(1).unwrap().to_owned();
                self.asked[line as usize].push_back((0..count).map(word).collect());
            }
        }
    }

    /// Answers what is due first.
    fn answer(&mut self, line: Line, answer: &str) -> Vec<String> {
        let asked = self.asked[line as usize].pop_front().unwrap();
        self.relay.handle_input(line, answer.as_bytes(), self.now);
        self.look();
        asked
    }

    /// Answers all that the pen asks for, as an engine of this memory in which there is nothing, until it asks for this.
    fn serve(&mut self, epoch: &str, until: &str) {
        while let Some(asked) = self.asked[Line::Pen as usize].front() {
            let answer = match (&*asked[0], asked.get(1).map_or("", String::as_str)) {
                (verb, _) if verb == until => return,
                ("GET", "{chatd}:format") => "$1\r\n1\r\n".to_owned(),
                ("GET", _) => format!("${}\r\n{epoch}\r\n", epoch.len()),
                ("XRANGE" | "XREVRANGE", _) => "*0\r\n".to_owned(),
                ("HSCAN", _) => "*2\r\n$1\r\n0\r\n*0\r\n".to_owned(),
                _ => "+OK\r\n".to_owned(),
            };
            let asked = self.answer(Line::Pen, &answer);
            let joins = asked.iter().filter(|word| word.starts_with("join\t"));
            self.joins += joins.count();
        }
    }

    /// Both connections are lost by now, and come about again.
    fn connect_again(&mut self) {
        self.asked = Default::default();
        self.pass(Duration::from_secs(3));
        self.connect();
        self.serve("one", "");
    }

    /// The ear waits for as long as it does, and for nothing.
    fn read_nothing(&mut self) {
        self.answer(Line::Ear, "$3\r\none\r\n");
        self.pass(Duration::from_millis(BLOCK_MS));
        self.answer(Line::Ear, "*-1\r\n");
        self.pass(Duration::from_millis(10));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.relay.tick(self.now);
        self.look();
    }

    /// The places from which the ear reads the log and what is for this node alone.
    fn reads_from(&self) -> [&str; 2] {
        let last = self.asked[Line::Ear as usize].back().unwrap();
        assert_eq!(last[0], "XREAD");
        [&last[8], &last[9]]
    }

    fn news(&mut self) -> Vec<News> {
        std::iter::from_fn(|| self.relay.take_news()).collect()
    }
}

/// An entry of another node in the log.
fn entry(id: &str) -> String {
    let fields =
        "*6\r\n$1\r\nn\r\n$11\r\nAAAAAAAAAAA\r\n$1\r\ns\r\n$1\r\n1\r\n$1\r\ne\r\n$4\r\ndown\r\n";
    format!("*1\r\n*2\r\n$11\r\n{{chatd}}:log\r\n*1\r\n*2\r\n$3\r\n{id}\r\n{fields}")
}

#[test]
fn what_was_asked_of_a_memory_that_is_gone_moves_nothing() {
    let mut talk = Talk::new();
    talk.serve("one", "");
    assert_eq!(talk.reads_from(), ["0-0", "0-0"]);
    talk.answer(Line::Ear, "$3\r\none\r\n");
    talk.answer(Line::Ear, &entry("5-0"));
    talk.pass(Duration::from_millis(10));
    assert_eq!(talk.reads_from(), ["5-0", "0-0"]);
    // The engine was emptied, which the ear sees; it still waits behind 5-0 when all is told again.
    talk.answer(Line::Ear, "$3\r\ntwo\r\n");
    talk.serve("two", "");
    assert_eq!(talk.relay.state(), State::Attached);
    talk.answer(Line::Ear, &entry("9-0"));
    talk.pass(Duration::from_millis(10));
    assert_eq!(talk.reads_from(), ["0-0", "0-0"], "all before 9-0 is read");
}

#[test]
fn who_is_cut_off_while_it_looks_at_the_others_looks_again() {
    let mut talk = Talk::new();
    talk.serve("one", "HSCAN");
    talk.relay.handle_lost(Line::Pen, "cut", talk.now);
    talk.asked = Default::default();
    talk.pass(Duration::from_millis(200));
    talk.connect();
    talk.serve("one", "HSCAN");
    assert_eq!(talk.asked[Line::Pen as usize][0][1], "{chatd}:nodes");
    assert_eq!(talk.relay.state().word(), "waiting");
}

#[test]
fn a_memory_that_was_lost_is_told_again_though_the_connection_breaks_meanwhile() {
    let mut talk = Talk::new();
    talk.serve("one", "");
    let join = Event::parse(b"join\tlobby\t1\tann").unwrap();
    talk.relay.submit(join, None, talk.now);
    talk.look();
    talk.serve("one", "");
    assert_eq!(talk.joins, 1);
    talk.news();
    for cut_at in ["XREVRANGE", "HSCAN", "HSCAN"] {
        talk.relay.handle_lost(Line::Pen, "cut", talk.now);
        talk.asked = Default::default();
        talk.pass(Duration::from_millis(200));
        talk.connect();
        talk.serve("two", cut_at);
    }
    talk.serve("two", "");
    let told = [News::Epoch("two".into()), News::Unsettled(1)];
    assert_eq!(talk.news(), told);
    assert_eq!(talk.reads_from(), ["0-0", "0-0"]);
    assert_eq!(talk.joins, 3, "it has not come back, and is told anew");
}

#[test]
fn who_gave_the_others_up_in_the_last_moment_knows_that_they_are_back() {
    let mut talk = Talk::new();
    talk.serve("one", "HSCAN");
    talk.pass(PATIENCE);
    talk.serve("one", "");
    let told: Vec<News> = talk.news();
    let at = |news: &News| told.iter().position(|it| it == news);
    let (alone, back) = (at(&News::Alone), at(&News::Back { lost_lines: 0 }));
    assert!(alone.is_some() && alone < back, "{told:?}");
    assert_eq!(talk.relay.state(), State::Attached);
}

#[test]
fn an_engine_that_takes_and_gives_nothing_back_is_as_one_that_cannot_be_reached() {
    let mut talk = Talk::new();
    talk.serve("one", "");
    talk.news();
    let say = Event::parse(b"say\tlobby\t1\tann\thello").unwrap();
    let heard = News::Heard {
        node: None,
        event: say.clone(),
    };
    talk.relay.submit(say, None, talk.now);
    talk.look();
    talk.serve("one", "");
    let mut reads = 0;
    while talk.relay.state() != State::Alone {
        assert!(reads < 3, "{:?}", talk.relay.state());
        reads += 1;
        talk.read_nothing();
    }
    assert_eq!(talk.news(), [heard, News::Alone]);
    // It is tried again and again, and nobody is told that the others are back.
    for _ in 0..3 {
        talk.connect_again();
        talk.read_nothing();
        talk.read_nothing();
        assert_eq!((talk.relay.state(), talk.news()), (State::Alone, vec![]));
    }
    // At last it gives back what it was told first: that this node is there.
    talk.connect_again();
    talk.answer(Line::Ear, "$3\r\none\r\n");
    let node = talk.relay.node.to_string();
    let own = entry("7-0")
        .replace("AAAAAAAAAAA", &node)
        .replace("$4\r\ndown", "$6\r\nup\t1\tx");
    talk.answer(Line::Ear, &own);
    // After half a minute the line was given up.
    assert_eq!(talk.news(), [News::Back { lost_lines: 1 }]);
    assert_eq!(talk.relay.state(), State::Attached);
}

#[test]
fn so_many_other_nodes_are_known_and_no_more() {
    let mut talk = Talk::new();
    talk.serve("one", "");
    talk.answer(Line::Ear, "$3\r\none\r\n");
    let entries: Vec<String> = (0..=NODES_MAX)
        .map(|n| {
            let (id, node) = (format!("1-{n}"), NodeId::new(n as u64 + 1).to_string());
            let fields = format!(
                "*6\r\n$1\r\nn\r\n$11\r\n{node}\r\n$1\r\ns\r\n$1\r\n1\r\n$1\r\ne\r\n$6\r\nup\t1\tx"
            );
            format!("*2\r\n${}\r\n{id}\r\n{fields}\r\n", id.len())
        })
        .collect();
    let head = format!("*1\r\n*2\r\n$11\r\n{{chatd}}:log\r\n*{}\r\n", entries.len());
    talk.answer(Line::Ear, &(head + &entries.concat()));
    let figures = talk.relay.figures();
    assert_eq!((talk.relay.nodes(), figures.unread), (NODES_MAX, 1));
}

#[test]
fn another_node_does_not_fill_the_queue_with_answers() {
    let mut talk = Talk::new();
    talk.serve("one", "");
    talk.answer(Line::Ear, "$3\r\none\r\n");
    talk.answer(
        Line::Ear,
        &entry("5-0").replace("$4\r\ndown", "$6\r\nup\t1\tx"),
    );
    let node = NodeId::parse("AAAAAAAAAAA").unwrap();
    let gone = Event::parse(b"gone\t1\tann").unwrap();
    let mut before = usize::MAX;
    while talk.relay.kept().1 != before {
        before = talk.relay.kept().1;
        talk.relay.submit_to(node, gone.clone(), talk.now);
    }
    assert!(before > talk.relay.options.queue_bytes_max, "{before}");
    assert!(
        before < talk.relay.options.queue_bytes_max + 200,
        "{before}"
    );
}
