//! Keeping a name, and taking one that is kept.

use std::time::Instant;

use log::info;

use crate::dialect::event::{Note, Reply};
use crate::dialect::request::Refusal;
use crate::fields::Value;
use crate::hub::close::Parting;
use crate::hub::core::Core;
use crate::hub::kept::key::{Key, Seed};
use crate::hub::kept::lines::{self, WrongLine};
use crate::hub::kept::{ByName, Kept, Number};
use crate::hub::session::Session;
use crate::hub::Hub;
use crate::id::SessionId;
use crate::ledger::CloseReason;
use crate::name::{Kind, Name};
use crate::when::Day;
use crate::work::Work;

impl<T> Hub<T> {
    /// Whether [`Hub::set_seed`] is to be called before the next turn.
    pub(crate) fn wants_seed(&self) -> bool {
        self.core.seed.is_used()
    }

    /// Gives the hub random bytes, of which it makes keys: the hub has no randomness of its own.
    pub(crate) fn set_seed(&mut self, bytes: [u8; 32]) {
        self.core.seed = Seed::new(bytes);
        if self.core.run == 0 {
            self.core.run = self.core.seed.bits() as u64 | 1;
        }
    }

    /// Takes a name that is kept, with its key: who has it now is closed. One that nobody keeps is taken as without a key.
    pub(super) fn take_kept(
        &mut self,
        id: SessionId,
        name: Name,
        key: &str,
        now: Instant,
    ) -> Result<(), Refusal> {
        let text = name.text().into_owned();
        self.core.work.add(Work::look_up(&text).times(2));
        let key = Key::parse(key);
        let alike = self.core.kept_like(&text);
        let Some(number) = alike.first().copied() else {
            return match key {
                _ if name.is_reserved() => Err(Refusal::Reserved(text.into())),
                // It was no key, so it may be a part of the name.
                None => Err(Refusal::MalformedName),
                Some(_) => self.take_name(id, name, now),
            };
        };
        self.core.is_opened(&alike, key.as_ref())?;
        self.core.is_allowed(&text)?;
        self.take_back(id, &name, number, now)?;
        let today = self.core.today();
        self.core.kept.note_used(number, today);
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return Ok(());
        };
        let before = session.owned();
        if before != Some(number) {
            core.give_up_kept(session);
        }
        session.set_owned(Some(number));
        let taken = self.take_name(id, name, now);
        if let (Err(_), Some(session)) = (&taken, self.session(id)) {
            session.set_owned(before);
        }
        let relayed = self.core.relayed.as_mut();
        if let Some(wanted) = relayed.and_then(|it| it.naming.get_mut(id)) {
            wanted.owned_before = before;
        }
        taken
    }

    /// Closes who has a name that `by` has come to take with the key of a kept one.
    ///
    /// # Errors
    /// If somebody has a name that looks like what was asked for, but not like the kept one: then nobody is closed.
    fn take_back(
        &mut self,
        by: SessionId,
        name: &Name,
        kept: Number,
        now: Instant,
    ) -> Result<(), Refusal> {
        let holders = self.core.roster.all_like(name);
        let holders: Vec<SessionId> = holders.into_iter().filter(|id| *id != by).collect();
        for id in &holders {
            let holder = self.sessions.get(*id).map(|it| it.name.text().into_owned());
            let is_like_it = |holder: String| self.core.kept.all_like(&holder).contains(&kept);
            if !holder.is_some_and(is_like_it) {
                return Err(Refusal::Taken(name.text().into()));
            }
        }
        let by = self.session(by).map_or(0, |it| it.number);
        for id in holders {
            let Some(session) = self.session(id) else {
                continue;
            };
            let (from, name) = (session.number, session.name.clone());
            info!("take-back id={by} name={} from={from}", Value(&name.text()));
            let parting = Parting {
                why: &name.text(),
                ..Parting::from(CloseReason::NameTaken)
            };
            self.close(id, &parting, now);
        }
        Ok(())
    }

    /// Keeps a name for who comes with its key, whether somebody has it or not; gives it and the key.
    ///
    /// # Errors
    /// If it is no name, or no more can be kept.
    pub(crate) fn keep_by_operator(&mut self, name: &str) -> Result<(Name, String), Refusal> {
        let name = Name::parse_kept(name)?;
        let core = &mut self.core;
        let key = core.seed.key();
        let today = core.today();
        match core.kept_like(&name.text())[..] {
            [] => _ = core.keep_new(&name, &key)?,
            [number] => core.kept.set_key(number, key.digest(), today),
            // It looks like several names that do not look alike.
            [number, ..] => return Err(core.is_kept(number)),
        }
        Ok((name, key.to_string()))
    }

    /// Keeps a name no more; gives it as it was kept.
    ///
    /// # Errors
    /// If it is not kept.
    pub(crate) fn unkeep_by_operator(&mut self, text: &str) -> Result<Box<str>, Refusal> {
        let core = &mut self.core;
        let number = core.kept_like(text).first().copied();
        let kept = number.and_then(|number| core.kept.remove(number));
        kept.map(|kept| kept.name)
            .ok_or_else(|| Refusal::NotKept(text.into()))
    }

    /// The names that were kept behind this number, each with the number of the session that has it.
    pub(crate) fn kept_after(
        &self,
        number: Number,
    ) -> impl Iterator<Item = (Number, &Kept, Option<u64>)> {
        self.core.kept.after(number).map(|(number, kept)| {
            let holder = self.core.roster.find(&kept.name);
            let session = holder.and_then(|id| self.sessions.get(id));
            (number, kept, session.map(|session| session.number))
        })
    }

    /// How many names are kept.
    pub(crate) fn kept_count(&self) -> usize {
        self.core.kept.len()
    }

    /// Looks whether no two names of the file look alike if the lines of `gone` are taken out and those of `new` put in.
    ///
    /// # Errors
    /// The first new line whose name looks like another one of the file.
    pub(crate) fn check_lines_of_names(
        &self,
        gone: &[Kept],
        new: &[(usize, Kept)],
    ) -> Result<(), WrongLine> {
        let mut gone: Vec<&str> = gone.iter().map(|kept| &*kept.name).collect();
        gone.sort_unstable();
        lines::find_alike(new, |kept| self.core.kept.like_in_file(&kept.name, &gone))
    }

    /// Follows the file of kept names, where the lines of `gone` were taken out and those of `new` put in. What was changed
    /// here and is not saved stays.
    pub(crate) fn follow_names(&mut self, gone: &[Kept], new: Vec<Kept>) {
        self.core.kept.follow(gone, new);
    }

    /// What is to be changed in the file: the names that it has, and new ones in their order.
    pub(crate) fn unsaved_names(&self) -> (ByName<'_>, Vec<&Kept>) {
        self.core.kept.unsaved()
    }

    /// A file keeps the names, so that they outlast the server.
    pub(crate) fn keep_names(&mut self) {
        self.core.keeps_names = true;
    }

    /// Whether what the file should hold has changed since it was last saved.
    pub(crate) fn have_names_changed(&self) -> bool {
        self.core.kept.has_changed()
    }

    /// The file of kept names holds what it should.
    pub(crate) fn note_names_saved(&mut self) {
        self.core.kept.note_saved();
    }

    /// The file of kept names holds nothing.
    pub(crate) fn note_no_names_saved(&mut self) {
        self.core.kept.note_nothing_saved();
    }
}

impl Core {
    pub(super) fn today(&self) -> Day {
        Day::of(self.wall_seconds)
    }

    /// The names that are kept and look like this one. Those that were not used for too long, and that nobody has now, are
    /// kept no more.
    pub(super) fn kept_like(&mut self, text: &str) -> Vec<Number> {
        let (today, days) = (self.today(), self.limits.names_kept_days);
        let mut alike = self.kept.all_like(text);
        alike.retain(|number| {
            let Some(kept) = self.kept.get(*number) else {
                return false;
            };
            let is_old = days.is_some_and(|days| today.since(kept.used) > days);
            let is_free = is_old && self.roster.find(&kept.name).is_none();
            if is_free {
                self.kept.remove(*number);
            }
            !is_free
        });
        alike
    }

    /// Whether this key opens all of these names: there is one, and it is its key.
    fn is_opened(&self, alike: &[Number], key: Option<&Key>) -> Result<(), Refusal> {
        for (index, number) in alike.iter().enumerate() {
            let kept = self.kept.get(*number);
            let is_it = kept.is_some_and(|kept| key.is_some_and(|key| kept.digest.is_of(key)));
            if !is_it {
                let name = kept.map_or_else(Box::default, |kept| kept.name.clone());
                return Err(match index {
                    0 => Refusal::WrongKey(name),
                    _ => Refusal::Kept(name),
                });
            }
        }
        Ok(())
    }

    fn is_kept(&self, number: Number) -> Refusal {
        let kept = self.kept.get(number);
        Refusal::Kept(kept.map_or_else(Box::default, |kept| kept.name.clone()))
    }

    /// Whether a session may be called so, as far as names are kept: it has by right all that look like it.
    pub(super) fn is_kept_by_nobody(&mut self, text: &str) -> Result<(), Refusal> {
        match self.kept_like(text).into_iter().next() {
            Some(number) => Err(self.is_kept(number)),
            None => Ok(()),
        }
    }

    /// Whether a session may have a name: nobody keeps it, or it is the session's own.
    pub(super) fn is_free_of_keys<T>(
        &mut self,
        session: &Session<T>,
        name: &Name,
    ) -> Result<(), Refusal> {
        let Kind::Chosen(text) = name.kind() else {
            return Ok(());
        };
        let owned = session.owned();
        let alike = self.kept_like(text);
        match alike.into_iter().find(|number| owned != Some(*number)) {
            Some(number) => Err(self.is_kept(number)),
            None => Ok(()),
        }
    }

    /// Keeps the name of a session, or gives it a new key where the session has it by right.
    pub(super) fn keep_name<T>(
        &mut self,
        session: &mut Session<T>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Kind::Chosen(text) = session.name.kind() else {
            return Err(Refusal::NameFirst);
        };
        if self.limits.names_kept_max == 0 {
            return Err(Refusal::NoNamesKept);
        }
        self.work.add(Work::look_up(text).times(2));
        let key = self.seed.key();
        let (name, today) = (session.name.clone(), self.today());
        let owned = session.owned();
        let alike = self.kept_like(text);
        if let Some(other) = alike.iter().find(|number| owned != Some(**number)) {
            return Err(self.is_kept(*other));
        }
        if let Some(number) = alike.first() {
            self.kept.set_key(*number, key.digest(), today);
        } else {
            let prefix = session.prefix();
            if !self.kept.may_keep(prefix, today) {
                return Err(Refusal::KeptEnoughToday);
            }
            let number = self.keep_new(&name, &key)?;
            self.kept.note_kept(prefix);
            session.set_owned(Some(number));
        }
        info!("keep id={} name={}", session.number, Value(&name.text()));
        let (key, lasts) = (key.to_string(), self.keeps_names);
        let note = Note::Kept {
            name: &name,
            key: &key,
            lasts,
        };
        self.reply(session, &Reply::Note(note), now);
        Ok(())
    }

    /// Keeps a name that is not kept.
    fn keep_new(&mut self, name: &Name, key: &Key) -> Result<Number, Refusal> {
        if self.kept.len() >= self.limits.names_kept_max {
            return Err(Refusal::KeptTooMany);
        }
        Ok(self.kept.insert(Kept {
            name: name.text().into(),
            digest: key.digest(),
            used: self.today(),
        }))
    }

    /// Keeps the name of a session no more, if it has it by right.
    pub(super) fn unkeep_name<T>(
        &mut self,
        session: &mut Session<T>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let name = session.name.clone();
        let text = name.text();
        self.work.add(Work::look_up(&text));
        let owned = session.owned();
        let alike = self.kept_like(&text);
        let other = alike.iter().find(|number| owned != Some(**number));
        match (alike.first(), other) {
            (None, _) => Err(Refusal::NotKept(text.into())),
            (_, Some(other)) => Err(self.is_kept(*other)),
            (Some(number), None) => {
                self.kept.remove(*number);
                session.set_owned(None);
                self.reply(session, &Reply::Note(Note::KeptNoMore(&name)), now);
                Ok(())
            }
        }
    }

    /// A session is called so from now on, and has by right what it is called and nothing else.
    pub(super) fn keep_owned<T>(&mut self, session: &mut Session<T>, name: &Name) {
        let Some(owned) = session.owned() else {
            return;
        };
        let is_same = self.kept.all_like(&name.text()).contains(&owned);
        if !is_same {
            self.give_up_kept(session);
        }
    }

    /// A session has its name no more: it was used until today.
    pub(super) fn give_up_kept<T>(&mut self, session: &mut Session<T>) {
        if let Some(number) = session.owned() {
            session.set_owned(None);
            let today = self.today();
            self.kept.note_used(number, today);
        }
    }
}

impl<T> Session<T> {
    /// Which kept name it has by right: it came with the key, or has kept the name itself.
    pub(super) fn owned(&self) -> Option<Number> {
        self.prefs.as_deref().and_then(|prefs| prefs.owned)
    }

    pub(super) fn set_owned(&mut self, owned: Option<Number>) {
        if owned.is_some() || self.prefs.is_some() {
            self.prefs().owned = owned;
        }
    }
}
