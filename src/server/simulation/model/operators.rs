//! Operators in the model: what each has sent, and what they are to be answered.

use std::collections::{BTreeMap, VecDeque};

use crate::server::simulation::network::SimulatedNetwork;
use crate::server::simulation::script::orders::{List, Order};

/// At most this many at a time.
const OPERATORS_MAX: usize = 8;

const FULL: &str = "!! 8 operators are connected already";

/// What an operator is told next.
#[derive(Debug)]
enum Answer {
    /// This line.
    Line(String),
    /// A list, of which so many lines were told.
    List(List, usize),
}

#[derive(Debug, Default)]
struct Operator {
    /// What they sent and was not obeyed.
    sent: VecDeque<Order>,
    /// What was obeyed and not answered.
    due: VecDeque<Answer>,
    /// The line that is being told.
    begun: Vec<u8>,
    is_held: bool,
    is_gone: bool,
}

/// All of them, by client.
#[derive(Debug, Default)]
pub(crate) struct Operators {
    all: BTreeMap<usize, Operator>,
    /// One of them turns newcomers away.
    pub(crate) drains: bool,
    /// How many were ever accepted.
    accepted: u64,
}

impl Operators {
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// How many hold a descriptor.
    pub(crate) fn held(&self) -> usize {
        self.all.values().filter(|it| it.is_held).count()
    }

    /// Whether one may still send something.
    pub(crate) fn is_there(&self, client: usize) -> bool {
        self.all.get(&client).is_none_or(|it| !it.is_gone)
    }

    /// One says nothing more, and stays.
    pub(crate) fn fall_silent(&mut self, client: usize) {
        self.all.entry(client).or_default().is_gone = true;
    }

    pub(crate) fn send(&mut self, client: usize, order: Order) {
        self.all.entry(client).or_default().sent.push_back(order);
    }

    /// One comes; gives whether there are as many as may be.
    pub(crate) fn admit(&mut self, client: usize) -> bool {
        self.accepted += 1;
        let is_full = self.held() >= OPERATORS_MAX;
        let it = self.all.entry(client).or_default();
        it.is_held = true;
        if is_full {
            it.due.push_back(Answer::Line(FULL.to_owned()));
        }
        is_full
    }

    pub(crate) fn let_go(&mut self, client: usize) {
        let it = self.all.get_mut(&client).expect("it was accepted");
        (it.is_held, it.is_gone) = (false, true);
    }

    /// The order of a line that is obeyed, and whose it is: they have said so before, or with this line.
    pub(crate) fn next_order(&mut self, by: &str, line: &str) -> (usize, Order) {
        let by = if by.is_empty() {
            line.strip_prefix("as ").expect("that is said first")
        } else {
            by
        };
        let client = by.strip_prefix("op").and_then(|it| it.parse().ok());
        let client = client.expect("the number of a client");
        let it = self.all.get_mut(&client).expect("they sent something");
        // The last line counts also without an end.
        let order = it.sent.pop_front().unwrap_or(Order::Half);
        assert_eq!(order.spell(), line, "what {client} sent");
        (client, order)
    }

    pub(crate) fn answer(&mut self, client: usize, line: String) {
        let it = self.all.get_mut(&client).expect("they asked for it");
        it.due.push_back(Answer::Line(line));
    }

    pub(crate) fn list(&mut self, client: usize, list: List) {
        let it = self.all.get_mut(&client).expect("they asked for it");
        it.due.push_back(Answer::List(list, 0));
    }

    /// Takes over what their sockets took.
    pub(crate) fn take(&mut self, network: &mut SimulatedNetwork) {
        for (client, it) in &mut self.all {
            let fresh = std::mem::take(&mut network.connections[*client].fresh);
            for byte in fresh {
                if byte == b'\n' {
                    let line = std::mem::take(&mut it.begun);
                    it.hear(*client, &String::from_utf8_lossy(&line));
                } else {
                    it.begun.push(byte);
                }
            }
        }
    }

    /// All that was sent is obeyed and answered.
    pub(crate) fn check_all_is_answered(&self) {
        for (client, it) in self.all.iter().filter(|(_, it)| it.is_held) {
            let (sent, due) = (&it.sent, &it.due);
            assert!(sent.is_empty(), "{client} is not obeyed: {sent:?}");
            assert!(due.is_empty(), "{client} is not answered: {due:?}");
        }
    }
}

impl Operator {
    fn hear(&mut self, client: usize, line: &str) {
        let Some(due) = self.due.front_mut() else {
            panic!("{client} is told {line:?} and asked nothing");
        };
        match due {
            Answer::Line(words) => assert_eq!(line, words, "the answer for {client}"),
            Answer::List((_, begins, _), told) if line.starts_with(*begins) => {
                *told += 1;
                return;
            }
            Answer::List((verb, _, counted), told) => {
                let plural = if *told == 1 { "" } else { "s" };
                let last = format!("-- {told} {counted}{plural}");
                assert_eq!(line, last, "the end of {verb} for {client}");
            }
        }
        self.due.pop_front();
    }
}
