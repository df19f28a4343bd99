//! A person at a terminal with a telnet client, some way away from the server.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::time::Duration;

use crate::hub::SessionId;
use unicode_width::UnicodeWidthStr;

use super::clients::{Client, Kind, IAC};
use super::world::World;

pub(crate) const ROWS: u16 = 12;
pub(crate) const PROMPT: &str = "> ";

pub(crate) struct Seat {
    pub(crate) id: SessionId,
    pub(crate) client: Client,
    pub(crate) screen: vt100::Parser,
    /// The line that the terminal itself edits, while the client does not send keys.
    cooked: String,
    /// How many steps a byte is under way.
    delay: usize,
    to_server: VecDeque<Vec<u8>>,
    to_client: VecDeque<Vec<u8>>,
    /// What has come to the screen since it was last taken.
    pub(crate) text: Vec<u8>,
}

impl Seat {
    pub(crate) fn new(world: &mut World, kind: Kind, delay: usize) -> Self {
        let id = world.connect();
        world.turn();
        let greeting = world.read(id);
        assert!(!greeting.contains(&IAC) && !greeting.contains(&0x1b));
        Self {
            id,
            client: Client::new(kind),
            screen: terminal(80),
            cooked: String::new(),
            delay,
            to_server: vec![Vec::new(); delay].into(),
            to_client: vec![Vec::new(); delay].into(),
            text: Vec::new(),
        }
    }

    /// The person presses keys; `\r` is Enter. What they do to the screen at once, the terminal does.
    pub(crate) fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            if self.client.sends_keys() {
                self.client.answers.extend(key.to_string().bytes());
                self.client.answers.extend((key == '\r').then_some(0));
            } else if key == '\r' {
                self.show(b"\r\n");
                let line = std::mem::take(&mut self.cooked) + "\r\n";
                self.client.answers.extend_from_slice(line.as_bytes());
            } else if key == '\x7f' {
                let columns = self.cooked.pop().map_or(0, |c| c.to_string().width());
                self.show("\x08 \x08".repeat(columns).as_bytes());
            } else {
                self.cooked.push(key);
                self.show(key.to_string().as_bytes());
            }
        }
    }

    pub(crate) fn resize(&mut self, columns: u16) {
        self.screen.set_size(rows(), wide(columns));
        self.client.resize(columns);
    }

    /// What the client has to send goes off, and what has arrived at the server is heard.
    pub(crate) fn send(&mut self, world: &mut World) {
        let sent = std::mem::take(&mut self.client.answers);
        self.to_server.push_back(sent);
        let arrived = self.to_server.pop_front().unwrap_or_default();
        if !arrived.is_empty() {
            world.hear(self.id, arrived);
        }
    }

    /// What the server has sent goes off, and what has arrived at the client is shown.
    pub(crate) fn receive(&mut self, world: &mut World) {
        let sent = world.read(self.id);
        self.to_client.push_back(sent);
        let arrived = self.to_client.pop_front().unwrap_or_default();
        let sent_keys = self.client.sends_keys();
        self.client.receive(&arrived);
        let text = std::mem::take(&mut self.client.text);
        self.show(&text);
        if self.client.sends_keys() && !sent_keys {
            // What the terminal held back is sent right behind the client's answers.
            let typed = std::mem::take(&mut self.cooked);
            self.client.answers.extend_from_slice(typed.as_bytes());
        }
    }

    /// Both, with a turn of the server in between.
    pub(crate) fn step(&mut self, world: &mut World) {
        self.send(world);
        world.turn();
        self.receive(world);
    }

    /// Lets everything arrive; gives whether there comes an end to it.
    pub(crate) fn settles(&mut self, world: &mut World) -> bool {
        let mut still = 0;
        for _ in 0..60 * (self.delay + 1) {
            let moves = !self.client.answers.is_empty()
                || self
                    .to_server
                    .iter()
                    .chain(&self.to_client)
                    .any(|sent| !sent.is_empty());
            still = if moves { 0 } else { still + 1 };
            if still > 1 {
                return true;
            }
            self.step(world);
        }
        false
    }

    /// Whether the server edits the line: then what it says to this person is framed.
    pub(crate) fn is_editing(&mut self, world: &mut World) -> bool {
        // It is answered once a second.
        world.pass(Duration::from_secs(1));
        self.text.clear();
        self.client.answers.extend(b"\xff\xf6");
        assert!(self.settles(world));
        let text = self.take_text();
        assert!(text.contains("-- yes, still here\r\n"), "{text:?}");
        text.contains("\x1b[J-- yes")
    }

    pub(crate) fn take_text(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.text)).expect("only whole characters are sent")
    }

    /// Row and column, from 0.
    pub(crate) fn cursor(&self) -> (u16, u16) {
        self.screen.screen().cursor_position()
    }

    /// The row of the cursor as one reads it, without the blanks at its end.
    pub(crate) fn row(&self) -> String {
        row_text(&self.screen, self.cursor().0)
    }

    /// All rows as one reads them.
    pub(crate) fn picture(&self) -> String {
        self.screen.screen().contents()
    }

    fn show(&mut self, bytes: &[u8]) {
        self.screen.process(bytes);
        self.text.extend_from_slice(bytes);
    }
}

pub(crate) fn terminal(columns: u16) -> vt100::Parser {
    vt100::Parser::new(rows(), wide(columns), 0)
}

pub(crate) fn rows() -> NonZeroU16 {
    NonZeroU16::new(ROWS).expect("some")
}

pub(crate) fn wide(columns: u16) -> NonZeroU16 {
    NonZeroU16::new(columns).expect("some")
}

pub(crate) fn row_text(terminal: &vt100::Parser, row: u16) -> String {
    let screen = terminal.screen();
    let (_, columns) = screen.size();
    let mut text = String::new();
    for column in 0..columns.get() {
        let Some(cell) = screen.cell(row, column) else {
            continue;
        };
        if !cell.is_wide_continuation() {
            let shown = cell.contents();
            text.push_str(if shown.is_empty() { " " } else { shown });
        }
    }
    text.trim_end().to_owned()
}
