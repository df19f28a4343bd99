//! The closes of the hubs of this thread, read off the log as an operator finds them. For tests alone.

use std::cell::RefCell;
use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};

use crate::ledger::CloseReason;

/// One session that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(dead_code, reason = "no test asks for all of it")]
pub(crate) struct Close {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) reason: CloseReason,
    /// How long it lasted, in tenths of a second: no more is told of it.
    pub(crate) tenths: u64,
    pub(crate) lines_in: u64,
    pub(crate) bytes_out: u64,
}

thread_local! {
    static CLOSES: RefCell<Vec<Close>> = const { RefCell::new(Vec::new()) };
}

/// Forgets the closes of former hubs, and writes down those to come.
pub(crate) fn begin() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        log::set_logger(&Capture).expect("the first logger");
        log::set_max_level(LevelFilter::Info);
    });
    CLOSES.take();
}

/// The closes since [`begin`], in their order.
pub(crate) fn closes() -> Vec<Close> {
    CLOSES.with_borrow(Clone::clone)
}

struct Capture;

impl Log for Capture {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "chatd::ledger"
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = record.args().to_string();
            if let Some(fields) = line.strip_prefix("close ") {
                CLOSES.with_borrow_mut(|closes| closes.push(read(fields)));
            }
        }
    }

    fn flush(&self) {}
}

fn read(fields: &str) -> Close {
    let field = |key: &str| {
        let mut pairs = fields.split(' ').filter_map(|pair| pair.split_once('='));
        let pair = pairs.find(|(known, _)| *known == key);
        pair.unwrap_or_else(|| panic!("no {key} in {fields}")).1
    };
    let number = |key: &str| field(key).parse().expect("a number");
    let (seconds, tenths) = field("seconds").split_once('.').expect("with a tenth");
    let reason = CloseReason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == field("reason"));
    Close {
        id: number("id"),
        name: field("name").to_owned(),
        reason: reason.expect("a reason that there is"),
        tenths: [seconds, tenths].concat().parse().expect("a number"),
        lines_in: number("lines_in"),
        bytes_out: number("bytes_out"),
    }
}
