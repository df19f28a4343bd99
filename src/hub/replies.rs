//! Replies of any length, made a step at a time as the socket takes them, so that nobody is closed for having asked.
//!
//! A session has at most one, and its input waits meanwhile. What else it is to hear is heard between two steps.

use std::time::Instant;

use crate::dialect::event::{Here, Listed, Reply};
use crate::hub::session::{Flow, Long, Session};
use crate::hub::Hub;
use crate::id::SessionId;
use crate::work::Work;

/// At most this many bytes of names, and a last one, are listed in one step, so that what waits for a session is no more for its asking.
const STEP_BYTES: usize = 16 * 1024;

/// A session with no more than this in its outbox is heard on at once.
const HEARD_ON_BYTES: usize = 4 * 1024;

impl<T> Hub<T> {
    /// Lists those who are here: the first of them now, the others as the session takes them.
    pub(super) fn begin_list(&mut self, id: SessionId, now: Instant) {
        self.list_on(id, None, now);
    }

    /// Adds the next step of the long reply of a session, which has taken all that was before it; behind the last one
    /// the session is heard again.
    pub(super) fn go_on_replying(&mut self, id: SessionId, now: Instant) {
        let session = self.session(id);
        match session.and_then(|session| session.long.take()).as_deref() {
            None => {}
            Some(Long::Sent) => self.core.resumed.push(id),
            Some(Long::Here { after }) => {
                self.list_on(id, Some(*after), now);
                let session = self.session(id);
                if session.is_some_and(|session| session.long.is_none()) {
                    self.core.resumed.push(id);
                }
            }
        }
    }

    /// Lists the next of those who are here, and sees to it that the session waits if that was not all.
    fn list_on(&mut self, id: SessionId, after: Option<u64>, now: Instant) {
        let mut out = Vec::new();
        let next = self.list_some(id, after, &mut out);
        self.send(id, &mut out, now);
        if let Some(session) = self.session(id) {
            match next {
                Some(after) => session.wait_for(Long::Here { after }),
                None => session.wait_until_sent(),
            }
        }
    }

    /// Lists those who are here and came behind this arrival; gives where to go on, if these are not all.
    fn list_some(&mut self, id: SessionId, after: Option<u64>, out: &mut Vec<u8>) -> Option<u64> {
        let Self { sessions, core } = self;
        let (room, mut bytes) = (&core.room, 0);
        let reader = sessions.get(id).map(|session| &session.codec);
        let mut arrivals = room.arrivals_after(after.unwrap_or(0)).peekable();
        let (mut listed, mut last) = (Vec::new(), 0);
        while bytes < STEP_BYTES {
            let Some((arrival, id)) = arrivals.next() else {
                break;
            };
            last = arrival;
            if let Some(session) = sessions.get(id) {
                let name_bytes = session.name.text().len();
                bytes += reader.map_or(0, |reader| reader.listed_bytes(name_bytes));
                listed.push(session.listed_as());
            }
        }
        let goes_on = arrivals.peek().is_some();
        core.work.add(Work::PERSON.times(listed.len()));
        if let Some(session) = sessions.get(id) {
            let reply = Reply::Here(Here {
                count: room.here(),
                begins: after.is_none(),
                listed: &listed,
                unlisted: 0,
                listening: (!goes_on).then(|| room.listening()),
            });
            let to = session.to(core.wall_seconds);
            session.codec.encode_reply(&reply, &to, out);
        }
        goes_on.then_some(last)
    }
}

impl<T> Session<T> {
    /// How it stands in a list.
    pub(super) fn listed_as(&self) -> Listed<'_> {
        Listed {
            name: &self.name,
            away: self.is_away(),
            op: self.is_operator(),
        }
    }

    /// Whether the next step of its long reply can be made.
    pub(super) fn wants_more(&self) -> bool {
        let takes = self.outbox.is_empty() && self.flow == Flow::Ready;
        self.long.is_some() && self.is_open() && takes
    }

    /// Its input waits for this long reply.
    fn wait_for(&mut self, long: Long) {
        self.long = Some(Box::new(long));
    }

    /// Its input waits until it has taken what is in its outbox, if that is much.
    pub(super) fn wait_until_sent(&mut self) {
        if self.outbox.bytes() > HEARD_ON_BYTES {
            self.wait_for(Long::Sent);
        }
    }
}
