//! The end of a turn: deadlines, and then what everybody is to hear goes out.

use std::io::{self, IoSlice};
use std::mem;
use std::time::{Duration, Instant};

use crate::hub::comforts::Comforts;
use crate::hub::feed::{Feed, Part};
use crate::hub::peer::{Flow, Peer, Phase, SessionId, Stage};
use crate::hub::{Ending, Hub, Limits};
use crate::ledger::CloseReason;
use crate::outbox::Overdue;

/// A session that has nothing more to be told is given so long to close its own side.
const LINGER: Duration = Duration::from_secs(1);

/// Deadlines are looked at together and no more often than this: each is kept to about so much. Pauses are kept
/// exactly, on a list of their own.
const TICK: Duration = Duration::from_millis(50);

/// So many slices go into one write.
const SLICES_MAX: usize = 16;

/// What writes to the sockets.
pub trait Sink<T> {
    /// Writes as much of `slices` as goes without waiting; gives the number of bytes taken.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is taken now and an edge will tell when it is; any other error means that nothing will
    /// ever be taken again. The stream must then be read until its end.
    fn write(
        &mut self,
        id: SessionId,
        transport: &mut T,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize>;

    /// Tells the peer that nothing more will be written.
    fn finish(&mut self, transport: &mut T);
}

impl<T> Hub<T> {
    /// Does what is due: ends pauses and the sessions whose time is up, and tells the sums of joins and leaves.
    pub fn tick(&mut self, now: Instant) {
        self.room.tick(now);
        self.end_pauses(now);
        if self.wake_at.is_none_or(|at| now < at) {
            return;
        }
        let mut due = Vec::new();
        let mut next = None::<Instant>;
        for (slot, peer) in &mut self.peers {
            match peer.judge(&self.limits, now) {
                Ok(at) => next = next.into_iter().chain(at).min(),
                Err(fate) => due.push((SessionId::new(slot, peer.serial), fate)),
            }
        }
        let rests_until = now + TICK;
        self.rests_until = Some(rests_until);
        self.wake_at = next.map(|at| at.max(rests_until));
        for (id, fate) in due {
            self.carry_out(id, fate, now);
        }
    }

    /// Writes all that was said: one write for each session that has something to hear.
    pub fn flush(&mut self, now: Instant, sink: &mut impl Sink<T>) {
        self.flush_some(usize::MAX, now, sink);
    }

    /// Writes what was said to the next `most` people of the round, and to those for whom something else waits, too:
    /// these are not to wait for a round. One write for each, with all that she has not heard yet. Gives how many of the
    /// round were told something.
    pub fn flush_some(&mut self, most: usize, now: Instant, sink: &mut impl Sink<T>) -> usize {
        let mut flush = self.begin_flush(now);
        // First these, for among them are those who leave, and the round drops what its own people have heard.
        self.visit_listed(&mut flush, sink);
        let told = self.go_round(&mut flush, most, sink);
        flush.feed.forget_what_one_heard();
        self.room.feed = flush.feed;
        self.end_flush(flush.queued_bytes, flush.unfinished, now, sink);
        told
    }

    fn begin_flush(&mut self, now: Instant) -> Flush {
        // It comes back before anything can be said again.
        let feed = mem::take(&mut self.room.feed);
        Flush {
            alone_bytes: feed.alone_bytes(),
            feed,
            parts: Vec::new(),
            queued_bytes: self.queued_bytes,
            unfinished: Vec::new(),
            now,
            wall_seconds: self.wall_seconds,
        }
    }

    /// Goes on with the round, and with the next one, until `most` were told something or everybody has heard all.
    fn go_round(&mut self, flush: &mut Flush, most: usize, sink: &mut impl Sink<T>) -> usize {
        let mut told = 0;
        while told < most && !flush.feed.is_silent() {
            if self.room.members.is_round_over() {
                self.room.members.begin_round();
                self.room.round = flush.feed.bookmark();
            }
            while told < most {
                let Some(id) = self.room.members.go_on() else {
                    break;
                };
                let peer = &mut self.peers[id.slot as usize];
                if flush.feed.has_news_for(peer.dialect, peer.cursor) {
                    flush.visit(id, peer, sink);
                    told += usize::from(!flush.parts.is_empty());
                }
            }
            if self.room.members.is_round_over() {
                flush.feed.trim(self.room.round);
            }
        }
        told
    }

    fn visit_listed(&mut self, flush: &mut Flush, sink: &mut impl Sink<T>) {
        for id in mem::take(&mut self.flush_list) {
            let peer = self.peers.get_mut(id.slot as usize);
            if let Some(peer) = peer.filter(|peer| peer.serial == id.serial) {
                flush.visit(id, peer, sink);
            }
        }
    }

    fn end_flush(
        &mut self,
        queued_bytes: usize,
        unfinished: Vec<SessionId>,
        now: Instant,
        sink: &mut impl Sink<T>,
    ) {
        self.queued_bytes = queued_bytes;
        for id in unfinished {
            self.follow_up(id, now, sink);
        }
        self.enforce_memory_limit(now);
    }

    /// Looks after a session that did not take everything, or that is on its way out.
    fn follow_up(&mut self, id: SessionId, now: Instant, sink: &mut impl Sink<T>) {
        let limits = self.limits;
        let Some(peer) = self.peer(id) else { return };
        if let Some(Stage::Draining { slow }) = peer.stage() {
            let done = peer.outbox.is_empty();
            if peer.flow == Flow::Dead || (peer.ended && done) {
                return self.finish_close(id, Ending::Orderly);
            }
            if done {
                sink.finish(&mut peer.transport);
            }
            if let Some(closing) = peer.closing() {
                if done {
                    // What a slow peer was given may still be in the kernel, and a reset would
                    // throw that away.
                    let ending = if slow {
                        Ending::Orderly
                    } else {
                        Ending::Abrupt
                    };
                    closing.stage = Stage::Lingering { dropped: 0, ending };
                    closing.until = closing.until.min(now + LINGER);
                } else {
                    closing.stage = Stage::Draining { slow: true };
                }
            }
        }
        match peer.judge(&limits, now) {
            Ok(Some(at)) => self.wake_by(at),
            Ok(None) => {}
            Err(fate) => self.carry_out(id, fate, now),
        }
    }

    fn carry_out(&mut self, id: SessionId, fate: Fate, now: Instant) {
        match fate {
            Fate::Close(reason) => self.begin_close(id, reason, now),
            Fate::Free(ending) => self.finish_close(id, ending),
        }
    }
}

/// What becomes of a session whose time is up.
#[derive(Clone, Copy)]
enum Fate {
    /// It begins to close.
    Close(CloseReason),
    /// It has had all the time to close that there is, and ends in this way.
    Free(Ending),
}

impl<T> Peer<T> {
    /// When the next deadline of this session is, or what becomes of it because one has passed.
    fn judge(&mut self, limits: &Limits, now: Instant) -> Result<Option<Instant>, Fate> {
        match &self.phase {
            Phase::Closing(closing) => match closing.stage {
                Stage::Closed(_) => Ok(None),
                _ if now < closing.until => Ok(Some(closing.until)),
                Stage::Lingering { ending, .. } => Err(Fate::Free(ending)),
                Stage::Draining { .. } => Err(Fate::Free(Ending::Abrupt)),
            },
            Phase::Open => {
                let queue_at =
                    self.outbox
                        .judge(&limits.queue, now)
                        .map_err(|overdue| match overdue {
                            Overdue::TooSlow => Fate::Close(CloseReason::SlowConsumer),
                            Overdue::Stalled => Fate::Close(CloseReason::WriteStall),
                        })?;
                let idle_at = limits.idle.map(|idle| self.heard_at() + idle);
                if idle_at.is_some_and(|at| at <= now) {
                    return Err(Fate::Close(CloseReason::Idle));
                }
                let ghost_until = self.ghost_until();
                if ghost_until.is_some_and(|at| at <= now) {
                    return Err(Fate::Close(CloseReason::Eof));
                }
                let deadlines = [queue_at, idle_at, ghost_until];
                Ok(deadlines.into_iter().flatten().min())
            }
        }
    }
}

/// One flush under way.
struct Flush {
    feed: Feed,
    /// What was said to single sessions before the flush. Behind it lies what one session sees in a way of its own.
    alone_bytes: usize,
    /// What the session at hand hears; kept for its buffer.
    parts: Vec<Part>,
    /// What waits in all outboxes together.
    queued_bytes: usize,
    /// Sessions that did not take everything, or are on their way out.
    unfinished: Vec<SessionId>,
    now: Instant,
    wall_seconds: u64,
}

impl Flush {
    fn visit<T>(&mut self, id: SessionId, peer: &mut Peer<T>, sink: &mut impl Sink<T>) {
        let queued_before = peer.outbox.bytes();
        self.flush_peer(id, peer, sink);
        self.queued_bytes = self.queued_bytes + peer.outbox.bytes() - queued_before;
        if !peer.outbox.is_empty() || !peer.is_open() {
            self.unfinished.push(id);
        }
    }

    /// Writes to one session what it hears of this feed, behind what still waited for it. What its socket does not
    /// take stays in its outbox.
    fn flush_peer<T>(&mut self, id: SessionId, peer: &mut Peer<T>, sink: &mut impl Sink<T>) {
        peer.listed = false;
        self.parts.clear();
        let mut cursor = peer.cursor;
        // Who is no member hears only what stands between marks that were made as it left.
        if peer.is_open() || cursor.has_marks() {
            match peer.view() {
                None => {
                    self.feed
                        .collect(peer.dialect, &mut cursor, &mut self.parts);
                }
                Some(comforts) => {
                    self.forget_last_copy();
                    let Self {
                        feed,
                        parts,
                        wall_seconds,
                        ..
                    } = self;
                    comforts.collect(id, feed, &mut cursor, &peer.name, *wall_seconds, parts);
                }
            }
            peer.cursor = cursor;
        }
        // Nobody is there any more, or nobody is to be told any more: it only waits to be freed.
        if peer.flow == Flow::Dead || matches!(peer.stage(), Some(Stage::Closed(_))) {
            return self.parts.clear();
        }
        if peer.reader.has_frame() {
            self.frame(peer);
        }
        let written = if peer.outbox.is_empty() && peer.flow == Flow::Ready {
            self.write_parts(id, peer, sink)
        } else {
            0
        };
        for part in &self.parts[written..] {
            match self.feed.share(peer.dialect, *part) {
                Some(slice) => peer.outbox.push_shared(slice, self.now),
                None => peer
                    .outbox
                    .push_copy(self.feed.bytes(peer.dialect, *part), self.now),
            }
        }
        write_outbox(id, peer, sink, self.now);
        if peer.flow == Flow::Dead {
            peer.outbox.clear();
        }
    }

    /// Frees what the last session saw in a way of its own: what its socket did not take is in its outbox, copied.
    fn forget_last_copy(&mut self) {
        self.feed.forget_alone_since(self.alone_bytes);
    }

    /// Puts what the editor has drawn around the texts: its row is off the screen while they are written.
    // Few have an editor, and the path of the others is shorter without this.
    #[inline(never)]
    fn frame<T>(&mut self, peer: &mut Peer<T>) {
        if peer.view().is_none() {
            self.forget_last_copy();
        }
        let texts_follow = !self.parts.is_empty();
        let begin = self
            .feed
            .write_part(|out| peer.reader.begin_frame(texts_follow, out));
        self.parts.insert(0, begin);
        if peer.is_open() {
            self.parts
                .push(self.feed.write_part(|out| peer.reader.end_frame(out)));
        }
        self.parts.retain(|part| part.len() > 0);
    }

    /// Writes the parts as far as the socket takes them; gives the number of those that it took whole, and leaves the
    /// next one without what it took of it.
    fn write_parts<T>(
        &mut self,
        id: SessionId,
        peer: &mut Peer<T>,
        sink: &mut impl Sink<T>,
    ) -> usize {
        let mut done = 0;
        while done < self.parts.len() && peer.flow == Flow::Ready {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut filled = 0;
            for (slice, part) in slices.iter_mut().zip(&self.parts[done..]) {
                *slice = IoSlice::new(self.feed.bytes(peer.dialect, *part));
                filled += 1;
            }
            let mut taken = peer.write(id, &slices[..filled], sink);
            while let Some(part) = self.parts.get_mut(done).filter(|_| taken > 0) {
                let whole = taken >= part.len();
                let step = taken.min(part.len());
                part.advance(step);
                taken -= step;
                done += usize::from(whole);
            }
        }
        done
    }
}

fn write_outbox<T>(id: SessionId, peer: &mut Peer<T>, sink: &mut impl Sink<T>, now: Instant) {
    while !peer.outbox.is_empty() && peer.flow == Flow::Ready {
        let outbox = mem::take(&mut peer.outbox);
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = outbox.slices(&mut slices);
        let taken = peer.write(id, &slices[..filled], sink);
        peer.outbox = outbox;
        if taken > 0 {
            peer.outbox.advance(taken, now);
        }
    }
}

impl<T> Peer<T> {
    /// What its person has set, if she sees the feed otherwise than everybody.
    fn view(&self) -> Option<&Comforts> {
        let comforts = self.comforts.as_deref();
        comforts.filter(|comforts| comforts.has_view())
    }

    /// One write; gives the bytes taken. `flow` tells why there are not more.
    fn write(&mut self, id: SessionId, slices: &[IoSlice<'_>], sink: &mut impl Sink<T>) -> usize {
        match sink.write(id, &mut self.transport, slices) {
            Ok(taken) if taken > 0 => {
                self.bytes_out += taken as u64;
                return taken;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.flow = Flow::Blocked,
            Ok(_) | Err(_) => self.flow = Flow::Dead,
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::dialect::Dialect;
    use crate::test_clock::outset;

    /// Sockets that take everything, or nothing.
    struct Sockets {
        room: usize,
    }

    impl Sink<()> for Sockets {
        fn write(
            &mut self,
            _: SessionId,
            (): &mut (),
            slices: &[IoSlice<'_>],
        ) -> io::Result<usize> {
            match self.room {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                room => Ok(room.min(slices.iter().map(|slice| slice.len()).sum())),
            }
        }

        fn finish(&mut self, (): &mut ()) {}
    }

    const LIMITS: Limits = Limits::WIDE;

    #[test]
    fn a_flush_holds_one_copy_however_many_see_the_feed_in_their_own_way() {
        const VIEWERS: usize = 100;
        let (mut hub, now) = (Hub::new(LIMITS), outset());
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut connect = |input: &[u8]| {
            let id = hub.connect((), Dialect::Telnet, from, now);
            hub.handle_input(id, input, now);
            hub.flush(now, &mut Sockets { room: usize::MAX });
            id
        };
        for _ in 0..VIEWERS {
            connect(b"/time on\n");
            connect(b"/edit on\r\n\xff\xfd\x01\xff\xfd\x03");
        }
        let ann = connect(b"");
        for room in [usize::MAX, 7, 0] {
            for _ in 0..10 {
                hub.handle_input(ann, &[&[b'x'; 500], b"\n".as_slice()].concat(), now);
            }
            let mut flush = hub.begin_flush(now);
            let said = flush.feed.len();
            assert!(said > 5000);
            for id in hub.ids().collect::<Vec<_>>() {
                let peer = &mut hub.peers[id.slot as usize];
                flush.visit(id, peer, &mut Sockets { room });
                assert!(
                    flush.feed.len() < 3 * said,
                    "{} of {said}",
                    flush.feed.len()
                );
            }
            if room == 0 {
                let all_but_ann = 2 * VIEWERS;
                assert!(flush.queued_bytes > all_but_ann * 5000, "all of it waits");
            }
            flush.feed.forget_what_one_heard();
            flush.feed.trim(flush.feed.bookmark());
            hub.room.feed = flush.feed;
        }
    }
}
