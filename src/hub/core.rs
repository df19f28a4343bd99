//! All of a hub but its sessions, so that a session is looked up once and passed on.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Instant;

use crate::debts::Debts;
use crate::dialect::event::{Elsewhere, Note, Reply};
use crate::dialect::input::Context;
use crate::dialect::{Codec, Dialect};
use crate::hub::absences::Absence;
use crate::hub::jobs::Job;
use crate::hub::kept::key::Seed;
use crate::hub::kept::KeptNames;
use crate::hub::operators::outcome::Done;
use crate::hub::readings::Counts;
use crate::hub::relayed::Relayed;
use crate::hub::room::feed::Part;
use crate::hub::room::Room;
use crate::hub::rooms::Rooms;
use crate::hub::roster::Roster;
use crate::hub::rules::Rules;
use crate::hub::session::{Ending, Session, Stage};
use crate::hub::transcript::Transcript;
use crate::id::SessionId;
use crate::ledger::Ledger;
use crate::limits::Limits;
use crate::net::Nets;
use crate::origin::Origin;
use crate::work::Work;

/// A feed of this size is full.
const FEED_BYTES_MAX: usize = 64 * 1024;

/// All feeds together are full when they are this part of `memory-max`.
const FEEDS_PART: usize = 4;

/// When single sessions were sent this many bytes in a turn, no more is read in it.
const PRIVATE_BYTES_MAX: usize = 64 * 1024;

/// At most this much of the buffer for what one session is told is kept.
const SCRATCH_KEPT_MAX: usize = 16 * 1024;

/// All of a hub but its sessions.
///
/// Invariants: `queued_bytes` and `input_bytes` are the sums over all sessions; every session that is paused is among
/// `pauses`; `wake_at` is not later than the first deadline or `rests_until`, whichever comes last.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) limits: Limits,
    /// Where other dialects are spoken.
    pub(super) elsewhere: Elsewhere,
    pub(super) roster: Roster,
    pub(super) rooms: Rooms,
    /// Those who have just been announced or renamed, and are to be sorted by name in their rooms.
    pub(super) unsorted: Vec<SessionId>,
    pub(super) ledger: Ledger,
    /// For monitoring.
    pub(super) counts: Counts,
    /// What is owed by addresses whose sessions have gone.
    pub(super) debts: Debts,
    /// Names that are kept, each by a key.
    pub(super) kept: KeptNames,
    /// A file keeps them.
    pub(super) keeps_names: bool,
    /// Of what keys are made.
    pub(super) seed: Seed,
    /// Tells this run of the server from all others.
    pub(super) run: u64,
    /// Which session each page takes back, by half of its key.
    pub(super) pages: HashMap<u64, SessionId>,
    /// Sessions without a connection, in the order in which their time ends; some of them may have one again.
    pub(super) absences: VecDeque<Absence>,
    /// When somebody is to be asked whether they are still there, at the earliest.
    pub(super) keepalive_at: Option<Instant>,
    /// Bans, mutes and forbidden names.
    pub(super) rules: Rules,
    /// When the first rule ends, as far as the clock goes on as it did.
    pub(super) rule_ends_at: Option<Instant>,
    /// A file keeps the rules, so that what was done to one is answered when that is saved.
    pub(super) keeps_rules: bool,
    /// What came of what operators asked for in the chat, until the rules are saved.
    pub(super) unsaved: Vec<(SessionId, Done)>,
    /// What is free of limits by address.
    pub(super) exempt: Nets<()>,
    /// What one request does to many, to be gone on with.
    pub(super) jobs: VecDeque<Job>,
    /// Sessions with something to be written, each once.
    pub(super) flush_list: Vec<SessionId>,
    /// Sessions to be freed at the end of the turn.
    pub(super) closed: Vec<SessionId>,
    /// Bytes that wait in all outboxes together.
    pub(super) queued_bytes: usize,
    /// Bytes of input that wait to be understood, and of unfinished lines, of all sessions.
    pub(super) input_bytes: usize,
    /// Bytes that single sessions were sent since the last flush.
    pub(super) private_bytes: usize,
    /// What sessions made the hub do since the last flush.
    pub(super) work: Work,
    /// Sessions whose pause has ended, to be read again.
    pub(super) resumed: Vec<SessionId>,
    /// Whose pause ends when; some of them may have gone since. A pause is too short to look at all sessions for it.
    pub(super) pauses: BinaryHeap<Reverse<(Instant, SessionId)>>,
    /// A lower bound of the first deadline of any session, but for pauses; not before `rests_until`.
    pub(super) wake_at: Option<Instant>,
    /// All sessions were looked at a moment ago, and are not looked at again before this.
    pub(super) rests_until: Option<Instant>,
    /// Sessions in no room.
    pub(super) nowhere: usize,
    /// The most sessions that there were at a time.
    pub(super) most: usize,
    /// Connections at the door that say who they are.
    pub(super) unregistered: usize,
    /// The time of day when it was told first, as seconds since 1970 in UTC.
    pub(super) began: u64,
    /// The server goes down: nobody is told who leaves, for all do.
    pub(super) going_down: bool,
    /// What is kept of other nodes, where this is one of several.
    pub(super) relayed: Option<Box<Relayed>>,
    /// How often anything was said, to tell who spoke last.
    pub(super) speeches: u32,
    /// The time of day, as seconds since 1970 in UTC.
    pub(super) wall_seconds: u64,
    /// The message of the day, as clean lines.
    pub(super) motd: Vec<String>,
    /// What is said in rooms without a key, if it is to be written.
    pub(super) transcript: Option<Transcript>,
    /// Who is told next in the round at hand; kept for its buffer.
    pub(super) next: Vec<SessionId>,
    /// What the session at hand hears of the feed; kept for its buffer.
    pub(super) parts: Vec<Part>,
    /// What the session at hand alone is sent; kept for its buffer.
    scratch: Vec<u8>,
}

impl Core {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            elsewhere: Elsewhere::default(),
            roster: Roster::default(),
            rooms: Rooms::new(limits.history_kept(), limits.pace_max),
            unsorted: Vec::new(),
            ledger: Ledger::default(),
            counts: Counts::default(),
            debts: Debts::default(),
            kept: KeptNames::default(),
            keeps_names: false,
            seed: Seed::default(),
            run: 0,
            pages: HashMap::new(),
            absences: VecDeque::new(),
            keepalive_at: None,
            rules: Rules::default(),
            rule_ends_at: None,
            keeps_rules: false,
            unsaved: Vec::new(),
            exempt: Nets::default(),
            jobs: VecDeque::new(),
            flush_list: Vec::new(),
            closed: Vec::new(),
            queued_bytes: 0,
            input_bytes: 0,
            private_bytes: 0,
            work: Work::default(),
            resumed: Vec::new(),
            pauses: BinaryHeap::new(),
            wake_at: None,
            rests_until: None,
            nowhere: 0,
            most: 0,
            unregistered: 0,
            began: 0,
            going_down: false,
            relayed: None,
            speeches: 0,
            wall_seconds: 0,
            motd: Vec::new(),
            transcript: None,
            next: Vec::new(),
            parts: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Whether the feed of a room is full: it must fit into everybody's socket buffer, and all feeds together into a
    /// part of the memory. Those who talk there wait until it is told, and nobody else.
    pub(super) fn is_full(&self, room: &Room) -> bool {
        self.holds(room, FEED_BYTES_MAX.min(self.limits.queue.bytes_max / 4))
    }

    fn holds(&self, room: &Room, most: usize) -> bool {
        let (bytes, all) = (room.feed.len(), self.rooms.totals().feed_bytes);
        bytes >= most || (bytes > 0 && all >= self.limits.memory_max / FEEDS_PART)
    }

    /// The same for the room of a session. Where those who say much have filled it, there is as much room again for all
    /// others.
    pub(super) fn is_full_for<T>(&self, session: &Session<T>, now: Instant) -> bool {
        let heavy = self.says_much(session, now) || self.limits.line_rate.is_unlimited();
        let times = if heavy { 1 } else { 2 };
        let most = FEED_BYTES_MAX.min(self.limits.queue.bytes_max / 4);
        self.holds(self.room_of(session), times * most)
    }

    /// Whether a session has used up more than half of what it may say and ask at once. All others are served before it
    /// where not all can be served.
    pub(super) fn says_much<T>(&self, session: &Session<T>, now: Instant) -> bool {
        let rate = self.limits.line_rate;
        session.bucket.is_half_empty(rate, session.opened_at, now)
    }

    /// Whether some room has as much to tell as is good.
    pub(super) fn is_a_room_full(&self) -> bool {
        self.rooms.has_untold_that(|room| self.is_full(room))
    }

    /// The room that a session is in.
    pub(super) fn room_of<T>(&self, session: &Session<T>) -> &Room {
        self.rooms.get(session.room)
    }

    /// Whether this turn has done its share of work, so that no more is to be read in it.
    pub(super) fn has_done_enough(&self) -> bool {
        self.work >= Work::TURN_MAX
            || self.private_bytes >= PRIVATE_BYTES_MAX
            || self.transcript.as_ref().is_some_and(Transcript::is_full)
    }

    /// Lets the others in its room know of a session, if they were not told of it before. Where several nodes share the
    /// room, all are told first.
    pub(super) fn announce<T>(&mut self, session: &mut Session<T>, now: Instant) {
        if self.relayed.is_some() {
            return self.introduce_to_others(session);
        }
        self.announce_now(session, now);
    }

    /// The same at once.
    pub(super) fn announce_now<T>(&mut self, session: &Session<T>, now: Instant) {
        let is_new = self.rooms.change(session.room, |room| {
            room.announce(session.member, &session.name, session.codec.user(), now)
        });
        if is_new {
            self.unsorted.push(session.id);
        }
    }

    /// Queues what one session alone is told.
    pub(super) fn reply<T>(&mut self, session: &mut Session<T>, reply: &Reply<'_>, now: Instant) {
        self.send(session, now, |core, session, out| {
            let to = session.to(core.wall_seconds);
            session.codec.encode_reply(reply, &to, out);
        });
    }

    /// Queues what `write` adds for one session alone, behind what it has not heard yet of its room. The one place where
    /// such output begins, so that it has a waker.
    pub(super) fn send<T>(
        &mut self,
        session: &mut Session<T>,
        now: Instant,
        write: impl FnOnce(&Self, &Session<T>, &mut Vec<u8>),
    ) {
        let mut out = std::mem::take(&mut self.scratch);
        out.clear();
        write(self, session, &mut out);
        if !out.is_empty() && session.is_reachable() {
            let before = session.outbox.bytes();
            Self::open_frame(session, true, now);
            self.catch_up(session, now);
            session.outbox.push_copy(&out, now);
            let pushed = session.outbox.bytes() - before;
            self.queued_bytes += pushed;
            self.private_bytes += out.len();
            self.list(session);
        }
        if out.capacity() > SCRATCH_KEPT_MAX {
            out = Vec::new();
        }
        self.scratch = out;
    }

    /// Asks a session's codec for something, and queues what it answers by itself.
    pub(super) fn with_codec<T, R>(
        &mut self,
        session: &mut Session<T>,
        now: Instant,
        ask: impl FnOnce(&mut Codec, &mut Context<'_>) -> R,
    ) -> R {
        let mut out = Vec::new();
        let (codec, mut context) = session.codec_in_context(
            &self.limits,
            self.wall_seconds,
            self.rooms.shown(session.room),
            &mut self.work,
            &mut out,
            now,
        );
        let result = ask(codec, &mut context);
        self.send(session, now, |_, _, bytes| bytes.append(&mut out));
        result
    }

    /// Moves what a session has not heard yet of its room into its outbox: slices of one shared copy, or a copy of its
    /// own where its person sees the room in a way of their own. `queued_bytes` is for the caller to count.
    pub(super) fn catch_up<T>(&mut self, session: &mut Session<T>, now: Instant) {
        let mut parts = std::mem::take(&mut self.parts);
        self.collect(session, &mut parts);
        self.enqueue(session, &parts, now);
        self.parts = parts;
    }

    /// Collects what a session has not heard yet of its room, which it has heard then.
    pub(super) fn collect<T>(&mut self, session: &Session<T>, parts: &mut Vec<Part>) {
        parts.clear();
        if !session.is_open() {
            return;
        }
        let room = self.rooms.get_mut(session.room);
        if let Some(member) = room.members.get_mut(session.member) {
            room.feed
                .collect(member.encoding, &mut member.cursor, parts);
        }
    }

    /// Puts parts of the feed into a session's outbox.
    pub(super) fn enqueue<T>(&mut self, session: &mut Session<T>, parts: &[Part], now: Instant) {
        if parts.is_empty() {
            return;
        }
        let feed = &mut self.rooms.get_mut(session.room).feed;
        let prefs = session.view();
        if prefs.is_some() || session.codec.fold_columns().is_some() {
            let to = session.to(self.wall_seconds);
            let name = session.name.text().to_lowercase();
            let mut copy = Vec::new();
            let encoding = session.codec.encoding();
            feed.show_lines(encoding, parts, |line| {
                if prefs.is_none_or(|prefs| prefs.wants(&line)) {
                    let rings = prefs.is_some_and(|prefs| prefs.rings(&line, session.id, &name));
                    session
                        .codec
                        .encode_viewed(&to, line.bytes, rings, &mut copy);
                }
            });
            return session.outbox.push_copy(&copy, now);
        }
        let encoding = session.codec.encoding();
        for part in parts {
            match feed.share(encoding, *part) {
                Some(slice) => session.outbox.push_shared(slice, now),
                None => session.outbox.push_copy(feed.bytes(encoding, *part), now),
            }
        }
    }

    /// Queues what an editor has drawn, and takes its row off the screen if texts follow, until the flush draws it again.
    pub(super) fn open_frame<T>(session: &mut Session<T>, texts_follow: bool, now: Instant) {
        if session.codec.has_frame() {
            let mut drawn = Vec::new();
            session.codec.begin_frame(texts_follow, &mut drawn);
            session.outbox.push_copy(&drawn, now);
        }
    }

    /// Charges a session for this many lines, or for this work if that is more. Gives until when it has been heard enough.
    pub(super) fn charge<T>(
        &mut self,
        session: &mut Session<T>,
        lines: usize,
        work: Work,
        now: Instant,
    ) -> Option<Instant> {
        self.work.add(work);
        let cost = work.millilines().max(lines as u64 * 1000);
        let rate = self.limits.line_rate;
        session.bucket.charge(rate, cost, session.opened_at, now)
    }

    /// Lets a session wait that has nothing left of what it may say; nothing of it was read yet.
    pub(super) fn pause<T>(&mut self, session: &mut Session<T>, now: Instant) {
        if let Some(until) = self.charge(session, 0, Work::default(), now) {
            session.keep_input(&[], Some(until), false, now);
            session.hear_until(until);
            self.pause_until(session.id, until);
        }
    }

    /// Counts a session among those of its room who are behind, or no longer.
    pub(super) fn note_slow<T>(&mut self, session: &mut Session<T>, is_slow: bool) {
        if session.is_slow != is_slow && !session.is_nowhere() {
            session.is_slow = is_slow;
            let room = self.rooms.get_mut(session.room);
            room.keeping_up.note(session.prefix(), is_slow);
        }
    }

    /// Until when a talker waits because the room is behind: their last line has its price even if it was said before
    /// the room fell behind. Each of many talkers could say one more line at once otherwise, and all of these together
    /// are more than a queue holds.
    pub(super) fn waits_for_room<T>(&self, session: &Session<T>, now: Instant) -> Option<Instant> {
        let is_behind = self.room_of(session).keeping_up.is_behind();
        let paid_at = session.last_line_paid_at();
        let waits = is_behind && now < paid_at && !self.limits.line_rate.is_unlimited();
        waits.then_some(paid_at)
    }

    /// Sees to it that the pause of a session ends.
    pub(super) fn pause_until(&mut self, id: SessionId, until: Instant) {
        self.counts.pauses += 1;
        self.pauses.push(Reverse((until, id)));
    }

    /// Writes down that a session comes; gives its number. `sessions` counts it in.
    pub(super) fn note_open(&mut self, dialect: Dialect, from: Origin, sessions: usize) -> u64 {
        self.counts.opens[dialect as usize] += 1;
        self.ledger.open(dialect, from, sessions)
    }

    /// Tells a session whose lines wait why they do: once while its room is behind again and again, and once for each long
    /// pause.
    pub(super) fn tell_of_waiting<T>(&mut self, session: &mut Session<T>, now: Instant) {
        if !session.waits_for_its_time() || !session.has_pending() {
            return;
        }
        let is_behind = self.room_of(session).keeping_up.is_behind();
        if is_behind && session.begins_to_wait_for_room(now) {
            self.reply(session, &Reply::Note(Note::RoomIsSlow), now);
        } else if session.is_to_be_told_of_waiting(now) {
            self.reply(session, &Reply::Note(Note::LinesWait), now);
        }
    }

    /// Puts a session on the flush list.
    pub(super) fn list<T>(&mut self, session: &mut Session<T>) {
        if !session.listed {
            session.listed = true;
            self.flush_list.push(session.id);
        }
    }

    pub(super) fn wake_by(&mut self, at: Instant) {
        let at = self.rests_until.map_or(at, |until| until.max(at));
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Throws away what came from a session and is not understood yet.
    pub(super) fn drop_input<T>(&mut self, session: &mut Session<T>) {
        session.pending = None;
        session.codec.clear();
        self.count_input(session);
    }

    /// Brings the sum of input up to date.
    pub(super) fn count_input<T>(&mut self, session: &mut Session<T>) {
        let now = session.input_bytes();
        let before = std::mem::replace(&mut session.input_counted, now as u32) as usize;
        self.input_bytes = self.input_bytes + now - before;
    }

    /// Throws away what waits for a session.
    pub(super) fn drop_output<T>(&mut self, session: &mut Session<T>) {
        self.queued_bytes -= session.outbox.bytes();
        session.outbox.clear();
    }

    /// Nothing more is to be done for a session that is closing but to free it.
    pub(super) fn finish_close<T>(&mut self, session: &mut Session<T>, ending: Ending) {
        let id = session.id;
        if let Some(closing) = session.closing() {
            if !matches!(closing.stage, Stage::Closed(_)) {
                closing.stage = Stage::Closed(ending);
                self.closed.push(id);
            }
        }
    }
}
