//! A hand at the file of the rules: it adds lines and takes them out again, breaks the file and mends it.

use std::fs;
use std::path::PathBuf;

use super::model::rules::{Kind, Target};
use super::model::rules_file::Edit;
use super::script::orders::{NET, PATTERNS};
use crate::random::Random;
use crate::test_folder::Folder;

/// No rule can be understood beneath it.
const WRONG: &str = "ban everybody\n";

pub(super) struct Hand {
    folder: Folder,
    random: Random,
    added: u64,
}

impl Hand {
    pub(super) fn new(random: Random) -> Self {
        let folder = Folder::new("hand");
        fs::write(folder.path().join("bans"), "# theirs and ours\n").expect("a file");
        Self {
            folder,
            random,
            added: 0,
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("bans")
    }

    pub(super) fn text(&self) -> String {
        fs::read_to_string(self.path()).expect("the file of the rules")
    }

    /// Whether something is done now.
    pub(super) fn is_at_work(&mut self) -> bool {
        self.random.percent(8)
    }

    /// Whether the server is told to look at it.
    pub(super) fn calls(&mut self) -> bool {
        self.random.percent(70)
    }

    pub(super) fn mend(&mut self) -> Option<Edit> {
        let text = self.text();
        let mended = text.strip_prefix(WRONG)?;
        fs::write(self.path(), mended).expect("the file of the rules");
        Some(Edit::Mended)
    }

    pub(super) fn edit(&mut self) -> Edit {
        if let Some(mended) = self.mend() {
            return mended;
        }
        let mut text = self.text();
        let ours = |line: &&str| line.split_once(" hand-").is_some();
        let lines: Vec<String> = text.lines().filter(ours).map(str::to_owned).collect();
        let edit = match self.random.within(0..=9) {
            0..=1 => {
                text.insert_str(0, WRONG);
                Edit::Broken
            }
            2..=5 if !lines.is_empty() => {
                let line = self.random.pick(&lines);
                text = text.replace(&(line.clone() + "\n"), "");
                let (_, reason) = line.rsplit_once(' ').expect("a reason");
                Edit::TakenOut(reason.to_owned())
            }
            _ => self.add(&mut text),
        };
        fs::write(self.path(), text).expect("the file of the rules");
        edit
    }

    /// Adds a line, which is not always written as the server would.
    fn add(&mut self, text: &mut String) -> Edit {
        let random = &mut self.random;
        self.added += 1;
        let reason = format!("hand-{}", self.added);
        let kind = random.pick(&[Kind::Ban, Kind::Mute, Kind::Mute, Kind::Name]);
        let host = [192, 0, 2, random.within(1..=6) as u8];
        let (target, shown) = match kind {
            Kind::Name => {
                let pattern = random.pick(&PATTERNS).0;
                (Target::Pattern(pattern), pattern.to_owned())
            }
            Kind::Mute if random.percent(20) => (Target::Net, NET.to_owned()),
            _ => {
                let target = Target::Address(host.into());
                (target, target.shown())
            }
        };
        let until = random.pick(&[" forever", "", "  forever"]);
        let word = kind.word();
        text.extend([word, " ", &shown, until, " ", &reason, "\n"]);
        Edit::Added(kind, target, reason)
    }
}
