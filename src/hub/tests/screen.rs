//! People who edit among people who do not, before terminals as judges: whatever happens, the last row shows the
//! prompt and the visible part of the line with the cursor in its place, and all that was said stands above it, whole
//! and in order.
//!
//! What stands above is compared with a second terminal of the same size that is sent the texts alone.

mod frames;

use proptest::prelude::*;
use unicode_width::UnicodeWidthChar;

use super::clients::Kind;
use super::seat::{row_text, rows, terminal, wide, Seat, PROMPT, ROWS};
use crate::dialect::event::To;
use crate::dialect::{Codec, Dialect};
use crate::hub::Limits;

use super::world::{limits, World};

/// A person with an editor.
struct Desk {
    seat: Seat,
    /// Is sent only what others say and what the server has to tell.
    above: vt100::Parser,
    columns: u16,
    /// What has been typed, by what looks like single characters.
    line: Vec<&'static str>,
    cursor: usize,
    sees_time: bool,
}

impl Desk {
    /// A person who has taken a name and switched the editor on.
    fn new(world: &mut World, name: &str, delay: usize) -> Self {
        let mut seat = Seat::new(world, Kind::Usual, delay);
        seat.press(&format!("/name {name}\r/edit\r"));
        assert!(seat.settles(world));
        assert_eq!(seat.row(), PROMPT.trim_end());
        let mut above = terminal(80);
        above.process(
            seat.screen
                .screen()
                .contents()
                .trim_end_matches("> ")
                .replace('\n', "\r\n")
                .as_bytes(),
        );
        Self {
            seat,
            above,
            columns: 80,
            line: Vec::new(),
            cursor: 0,
            sees_time: false,
        }
    }

    fn is_told(&mut self, text: &str) {
        let time = if self.sees_time { "14:05 " } else { "" };
        let to = To {
            columns: Some(self.columns),
            ..To::default()
        };
        let mut rows = Vec::new();
        Codec::new(Dialect::Telnet).encode_viewed(
            &to,
            format!("{time}{text}\r\n").as_bytes(),
            false,
            &mut rows,
        );
        self.above.process(&rows);
    }

    fn press(&mut self, key: Key) {
        let keys = match key {
            Key::Cluster(cluster) => {
                self.line.insert(self.cursor, cluster);
                self.cursor += 1;
                cluster
            }
            Key::Backspace => {
                if self.cursor > 0 {
                    self.cursor -= 1;
                    self.line.remove(self.cursor);
                }
                "\x7f"
            }
            Key::Left => {
                self.cursor = self.cursor.saturating_sub(1);
                "\x1b[D"
            }
            Key::Right => {
                self.cursor = (self.cursor + 1).min(self.line.len());
                "\x1b[C"
            }
            Key::Home => {
                self.cursor = 0;
                "\x01"
            }
            Key::End => {
                self.cursor = self.line.len();
                "\x1b[4~"
            }
        };
        self.seat.press(keys);
    }

    fn enter(&mut self) -> String {
        self.seat.press("\r");
        self.cursor = 0;
        self.line
            .drain(..)
            .collect::<String>()
            .trim_end()
            .to_owned()
    }

    fn resize(&mut self, columns: u16) {
        self.columns = columns;
        self.above.set_size(rows(), wide(columns));
        self.seat.resize(columns);
    }

    /// Everything has arrived: the screen is as it must be.
    #[track_caller]
    fn check(&self) {
        let (row, column) = self.seat.cursor();
        let picture = format!(
            "{:?} at {} in {} columns:\n{}",
            self.line.concat(),
            self.cursor,
            self.columns,
            self.seat.picture()
        );
        assert_eq!(row, self.above.screen().cursor_position().0, "{picture}");
        for other in (0..ROWS).filter(|other| *other != row) {
            let expected = row_text(&self.above, other);
            assert_eq!(row_text(&self.seat.screen, other), expected, "{picture}");
        }
        let shown = row_text(&self.seat.screen, row);
        let shown = shown.strip_prefix(PROMPT.trim_end()).expect(&picture);
        let shown = shown.strip_prefix(' ').unwrap_or(shown);
        let text = self.line.concat();
        let before = self.line[..self.cursor].concat();
        let room = usize::from(self.columns) - PROMPT.len() - 1;
        let column = usize::from(column) - PROMPT.len();
        if columns(&text) <= room {
            assert_eq!(shown, text.trim_end(), "{picture}");
            assert_eq!(column, columns(&before), "{picture}");
            return;
        }
        assert!(text.contains(shown), "{picture}");
        // What stands left of the cursor is the end of what was typed before it.
        let start = (0..=self.cursor)
            .find(|start| columns(&self.line[*start..self.cursor].concat()) == column)
            .unwrap_or_else(|| panic!("the cursor is not in its place in {picture}"));
        let left = self.line[start..self.cursor].concat();
        assert!(shown.starts_with(left.trim_end()), "{picture}");
        // And the row is full: the next character would not fit.
        let fits = self.line[start..].iter().scan(0, |used, cluster| {
            *used += columns(cluster);
            (*used <= room).then_some(*cluster)
        });
        let fitting = fits.collect::<String>();
        assert_eq!(shown, fitting.trim_end(), "{picture}");
    }
}

fn columns(text: &str) -> usize {
    text.chars().filter_map(UnicodeWidthChar::width).sum()
}

#[derive(Debug, Clone, Copy)]
enum Key {
    Cluster(&'static str),
    Backspace,
    Left,
    Right,
    Home,
    End,
}

#[derive(Debug, Clone)]
enum Event {
    /// One of the two presses keys.
    Keys(usize, Vec<Key>),
    Enter(usize),
    /// The third says something, in line mode.
    Said(&'static str),
    /// And to one of the two alone.
    Told(usize, &'static str),
    Resize(usize, u16),
    /// One of the two wants the time in each line, or no more.
    Time(usize, bool),
    Who(usize),
    /// The socket of one of the two takes this many bytes, and no more for now.
    Narrow(usize, usize),
    /// The turn goes on: the next event is of the same turn.
    SameTurn,
}

const CLUSTERS: [&str; 14] = [
    "a",
    "b",
    " ",
    "你",
    "好",
    "é",
    "ที่",
    "วั",
    "นี้",
    "👍",
    "👍🏽",
    "👩‍👩‍👧‍👦",
    "🇩🇪",
    "л",
];
const SAYINGS: [&str; 6] = [
    "hello",
    "你好，这是一条很长的消息，比窗口还要宽，所以终端会自己换行。",
    "สวัสดีชาวโลก นี่คือข้อความที่ยาวมากจนเกินความกว้างของหน้าต่าง",
    "👩‍👩‍👧‍👦👍🏽🇩🇪",
    "a line that is much longer than any of the windows here, so that the terminal has to wrap it by itself",
    "x",
];

fn events() -> impl Strategy<Value = Event> {
    let key = prop_oneof![
        8 => prop::sample::select(&CLUSTERS[..]).prop_map(Key::Cluster),
        1 => Just(Key::Backspace),
        1 => Just(Key::Left),
        1 => Just(Key::Right),
        1 => Just(Key::Home),
        1 => Just(Key::End),
    ];
    let keys = prop::collection::vec(key, 1..30);
    let saying = || prop::sample::select(&SAYINGS[..]);
    prop_oneof![
        6 => (0..2_usize, keys).prop_map(|(who, keys)| Event::Keys(who, keys)),
        2 => (0..2_usize).prop_map(Event::Enter),
        4 => saying().prop_map(Event::Said),
        2 => (0..2_usize, saying()).prop_map(|(who, saying)| Event::Told(who, saying)),
        2 => (0..2_usize, 20..100_u16).prop_map(|(who, columns)| Event::Resize(who, columns)),
        1 => (0..2_usize, any::<bool>()).prop_map(|(who, on)| Event::Time(who, on)),
        1 => (0..2_usize).prop_map(Event::Who),
        2 => (0..2_usize, 0..40_usize).prop_map(|(who, room)| Event::Narrow(who, room)),
        4 => Just(Event::SameTurn),
    ]
}

/// Two people with editors, and one without.
struct Scene {
    world: World,
    desks: [Desk; 2],
    carl: Seat,
    /// In no certain order: a terminal in line mode shows at once what is typed.
    carl_hears: Vec<String>,
}

const NAMES: [&str; 2] = ["ann", "bob"];

impl Scene {
    fn new(delay: usize) -> Self {
        let mut world = World::new(limits());
        let mut carl = Seat::new(&mut world, Kind::Silent, 0);
        carl.press("/name carl\r");
        carl.step(&mut world);
        let ann = Desk::new(&mut world, NAMES[0], delay);
        let bob = Desk::new(&mut world, NAMES[1], delay);
        let mut scene = Self {
            world,
            desks: [ann, bob],
            carl,
            carl_hears: Vec::new(),
        };
        scene.desks[0].is_told("-- bob joined (3 here)");
        scene.settle();
        scene.carl.take_text();
        scene
    }

    /// Everything that is under way arrives.
    fn settle(&mut self) {
        for desk in &mut self.desks {
            self.world.drain(desk.seat.id, usize::MAX);
        }
        for desk in &mut self.desks {
            assert!(desk.seat.settles(&mut self.world));
        }
        self.carl.step(&mut self.world);
    }

    fn all_hear(&mut self, text: &str, but: Option<usize>) {
        for desk in &mut self.desks {
            desk.is_told(text);
        }
        if but.is_none() {
            self.carl_hears.push(text.to_owned());
        }
    }

    /// What one of the two has typed goes to the server now, in this turn.
    fn play(&mut self, event: Event) {
        match event {
            Event::Keys(who, keys) => {
                for key in keys {
                    self.desks[who].press(key);
                }
                self.desks[who].seat.send(&mut self.world);
            }
            Event::Enter(who) => {
                let line = self.desks[who].enter();
                self.desks[who].seat.send(&mut self.world);
                if !line.is_empty() {
                    self.all_hear(&format!("<{}> {line}", NAMES[who]), None);
                }
            }
            Event::Said(saying) => {
                self.carl.press(&format!("{saying}\r"));
                self.carl.send(&mut self.world);
                self.carl_hears.push(saying.to_owned());
                self.all_hear(&format!("<carl> {saying}"), Some(2));
            }
            Event::Told(who, saying) => {
                let name = NAMES[who];
                let line = format!("/msg {name} {saying}");
                self.carl.press(&format!("{line}\r"));
                self.carl.send(&mut self.world);
                self.carl_hears.push(line);
                self.carl_hears.push(format!("[to {name}] {saying}"));
                self.desks[who].is_told(&format!("[carl] {saying}"));
            }
            Event::Resize(who, columns) => {
                self.desks[who].resize(columns);
                self.desks[who].seat.send(&mut self.world);
            }
            Event::Time(who, on) => {
                let told = if on {
                    "-- times on, +00:00"
                } else {
                    "-- times off"
                };
                let command = if on { "/time on" } else { "/time off" };
                self.command(who, command);
                self.desks[who].sees_time = on;
                self.desks[who].is_told(told);
            }
            Event::Who(who) => {
                self.command(who, "/who");
                self.desks[who].is_told("-- 3 here: carl, ann, bob");
            }
            Event::Narrow(who, room) => {
                let id = self.desks[who].seat.id;
                self.world.pipe(id).room = room;
            }
            Event::SameTurn => {}
        }
    }

    /// A command takes the place of what stands in the row.
    fn command(&mut self, who: usize, command: &str) {
        let desk = &mut self.desks[who];
        desk.enter_nothing();
        desk.seat.press(&format!("{command}\r"));
        desk.seat.send(&mut self.world);
    }
}

impl Desk {
    /// Ctrl-E Ctrl-U.
    fn enter_nothing(&mut self) {
        self.seat.press("\x05\x15");
        self.line.clear();
        self.cursor = 0;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_row_is_whole_and_all_that_was_said_stands_above(
        events in prop::collection::vec(events(), 1..40),
    ) {
        let mut scene = Scene::new(0);
        let mut same_turn = false;
        for event in events {
            let narrow = matches!(event, Event::Narrow(..));
            // What was said before stands on the screen as wide as it was, and without the time.
            if matches!(event, Event::Time(..) | Event::Resize(..)) {
                scene.settle();
            }
            let goes_on = matches!(event, Event::SameTurn);
            scene.play(event);
            if goes_on || same_turn || narrow {
                same_turn = goes_on;
                continue;
            }
            scene.settle();
            scene.desks.iter().for_each(Desk::check);
        }
        scene.settle();
        scene.desks.iter().for_each(Desk::check);
        // Line mode gets whole lines and nothing else.
        let heard = scene.carl.take_text();
        let mut heard: Vec<_> = heard.split_terminator("\r\n").collect();
        heard.sort_unstable();
        scene.carl_hears.sort_unstable();
        prop_assert_eq!(heard, scene.carl_hears);
    }

    #[test]
    fn far_from_the_server_everything_comes_to_the_same_a_little_later(
        delay in 1_usize..12,
        events in prop::collection::vec(events(), 1..40),
    ) {
        let mut scene = Scene::new(delay);
        for event in events {
            // What a person does with their window, or asks for, crosses what is said in the meantime: what is then
            // to be seen is told by other tests.
            match event {
                Event::Resize(..) | Event::Time(..) | Event::Narrow(..) => {}
                // Nothing is said before this line has arrived, so that their order is known.
                Event::Enter(_) | Event::Who(_) => {
                    scene.settle();
                    scene.play(event);
                    scene.settle();
                }
                event => {
                    scene.play(event);
                    scene.desks.iter_mut().for_each(|desk| desk.seat.step(&mut scene.world));
                }
            }
        }
        scene.settle();
        scene.desks.iter().for_each(Desk::check);
    }

    #[test]
    fn nothing_is_left_on_the_terminal_when_the_editor_goes(
        events in prop::collection::vec(events(), 0..10),
        way in 0..4,
    ) {
        let mut scene = Scene::new(0);
        for event in events {
            if matches!(event, Event::Time(..) | Event::Resize(..)) {
                scene.settle();
            }
            scene.play(event);
        }
        scene.settle();
        let told = match way {
            0 => {
                scene.command(0, "/edit off");
                "-- editing off"
            }
            1 => {
                scene.command(0, "/quit");
                "-- goodbye"
            }
            2 => {
                scene.desks[0].enter_nothing();
                scene.desks[0].seat.press("\x04");
                "-- goodbye"
            }
            _ => {
                scene.desks[0].seat.client.answers.extend(b"\xff\xec");
                "-- goodbye"
            }
        };
        scene.desks[0].is_told(told);
        scene.settle();
        let Desk { seat, above, .. } = &scene.desks[0];
        for row in 0..ROWS {
            prop_assert_eq!(row_text(&seat.screen, row), row_text(above, row), "{}", seat.picture());
        }
        prop_assert_eq!(seat.cursor(), above.screen().cursor_position());
        prop_assert_eq!(seat.client.sends_keys(), way != 0);
    }
}
