//! A connection's write queue: what its socket did not take. Sessions of the server and clients each have one.
//!
//! [`Outbox::deadline`] says when the reader of a queue is too slow to be kept; the hub closes it then.
//!
//! Invariants: an empty outbox owns no heap; `bytes` is the sum of what waits; memory is at most about twice that and
//! one feed, because a slice of a feed is only kept where it is at least half of it.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Instant;

use bytes::{Buf, Bytes};

use crate::ledger::CloseReason;
use crate::limits::QueueLimits;

/// More than this waits for a session that is behind: a whole feed and not only the last burst.
const BEHIND_BYTES: usize = 64 * 1024;

/// A peer that takes less than this in a second takes next to nothing, in bytes: 1 Mbit/s is thirty times as much.
const TAKEN_MIN: u64 = 4 * 1024;

/// Copied bytes are gathered into chunks of about this size.
const CHUNK_BYTES: usize = 8 * 1024;

/// Bytes that wait for a socket.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Option<Box<Backlog>>);

#[derive(Debug)]
struct Backlog {
    chunks: VecDeque<Bytes>,
    /// The end of the queue, still growing; it follows `chunks`.
    tail: Vec<u8>,
    bytes: usize,
    /// When waiting began, and how many bytes were taken since then.
    since: Instant,
    taken: u64,
    /// When the socket last took something, or when waiting began.
    taken_at: Instant,
    /// Since when more than the soft limit waits.
    above_soft_since: Option<Instant>,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |backlog| backlog.bytes)
    }

    /// Adds a copy of `bytes`.
    pub(crate) fn push_copy(&mut self, bytes: &[u8], now: Instant) {
        if !bytes.is_empty() {
            let backlog = self.backlog(now);
            backlog.tail.extend_from_slice(bytes);
            backlog.bytes += bytes.len();
            if backlog.tail.len() >= CHUNK_BYTES {
                backlog.seal();
            }
        }
    }

    /// Adds a slice of a shared buffer.
    pub(crate) fn push_shared(&mut self, slice: Bytes, now: Instant) {
        if !slice.is_empty() {
            let backlog = self.backlog(now);
            backlog.seal();
            backlog.bytes += slice.len();
            backlog.chunks.push_back(slice);
        }
    }

    /// The first bytes that wait, as many slices as there is room for; gives how many it filled in.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let Some(backlog) = &self.0 else { return 0 };
        let waiting = backlog
            .chunks
            .iter()
            .map(|chunk| &chunk[..])
            .chain([&backlog.tail[..]]);
        let mut filled = 0;
        for (slot, chunk) in slices
            .iter_mut()
            .zip(waiting.filter(|chunk| !chunk.is_empty()))
        {
            *slot = IoSlice::new(chunk);
            filled += 1;
        }
        filled
    }

    /// Takes off the first `bytes`, which a socket took.
    pub(crate) fn advance(&mut self, bytes: usize, now: Instant) {
        let Some(backlog) = &mut self.0 else { return };
        let mut left = bytes;
        while let Some(chunk) = backlog.chunks.front_mut() {
            let taken = left.min(chunk.len());
            chunk.advance(taken);
            left -= taken;
            if !chunk.is_empty() {
                break;
            }
            backlog.chunks.pop_front();
        }
        backlog.tail.drain(..left);
        backlog.bytes -= bytes;
        backlog.taken += bytes as u64;
        backlog.taken_at = now;
        if backlog.bytes == 0 {
            self.0 = None;
        }
    }

    /// Throws away what waits.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    /// Sees whether more than the soft limit waits, and says when that, or a stall, becomes too much.
    ///
    /// # Errors
    /// It is too much already, and for this reason its session is to be closed.
    pub(crate) fn deadline(
        &mut self,
        limits: &QueueLimits,
        now: Instant,
    ) -> Result<Option<Instant>, CloseReason> {
        let Some(backlog) = &mut self.0 else {
            return Ok(None);
        };
        if backlog.bytes > limits.bytes_max {
            return Err(CloseReason::SlowConsumer);
        }
        let soft_at = if backlog.bytes > limits.bytes_soft {
            Some(*backlog.above_soft_since.get_or_insert(now) + limits.soft)
        } else {
            backlog.above_soft_since = None;
            None
        };
        let stall_at = limits.stall.map(|stall| backlog.taken_at + stall);
        if soft_at.is_some_and(|at| at <= now) {
            return Err(CloseReason::SlowConsumer);
        }
        if stall_at.is_some_and(|at| at <= now) {
            return Err(CloseReason::WriteStall);
        }
        Ok(soft_at.into_iter().chain(stall_at).min())
    }

    /// Whether its peer takes what it can and is behind all the same. One that takes next to nothing has stalled, which is
    /// not this and ends by itself. In the first second nobody can tell.
    pub(crate) fn is_behind(&self, now: Instant) -> bool {
        self.0.as_ref().is_some_and(|backlog| {
            let seconds = now.saturating_duration_since(backlog.since).as_secs();
            backlog.bytes > BEHIND_BYTES && backlog.taken >= seconds * TAKEN_MIN
        })
    }

    /// Counts again what waits.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn recount(&self) -> usize {
        self.0.as_ref().map_or(0, |backlog| {
            backlog.chunks.iter().map(Bytes::len).sum::<usize>() + backlog.tail.len()
        })
    }

    fn backlog(&mut self, now: Instant) -> &mut Backlog {
        self.0.get_or_insert_with(|| {
            Box::new(Backlog {
                chunks: VecDeque::new(),
                tail: Vec::new(),
                bytes: 0,
                since: now,
                taken: 0,
                taken_at: now,
                above_soft_since: None,
            })
        })
    }
}

impl Backlog {
    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.chunks
                .push_back(Bytes::from(std::mem::take(&mut self.tail)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::test_clock::outset;

    const LIMITS: QueueLimits = QueueLimits {
        bytes_max: 1000,
        bytes_soft: 100,
        soft: Duration::from_secs(10),
        stall: Some(Duration::from_secs(30)),
    };

    fn second(outset: Instant, seconds: u64) -> Instant {
        outset + Duration::from_secs(seconds)
    }

    fn front(outbox: &Outbox) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 4];
        let filled = outbox.slices(&mut slices);
        slices[..filled]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect()
    }

    #[test]
    fn f045_much_may_wait_for_a_while_only() {
        let (mut outbox, outset) = (Outbox::default(), outset());
        outbox.push_copy(&[0; 101], outset);
        assert_eq!(
            outbox.deadline(&LIMITS, outset),
            Ok(Some(second(outset, 10)))
        );
        assert_eq!(
            outbox.deadline(&LIMITS, second(outset, 9)),
            Ok(Some(second(outset, 10)))
        );
        assert_eq!(
            outbox.deadline(&LIMITS, second(outset, 10)),
            Err(CloseReason::SlowConsumer)
        );
    }

    #[test]
    fn f045_the_soft_limit_forgets_when_the_queue_falls_below() {
        let (mut outbox, outset) = (Outbox::default(), outset());
        outbox.push_copy(&[0; 101], outset);
        assert!(outbox.deadline(&LIMITS, outset).is_ok());
        outbox.advance(1, second(outset, 8));
        assert_eq!(
            outbox.deadline(&LIMITS, second(outset, 8)),
            Ok(Some(second(outset, 38)))
        );
        outbox.push_copy(&[0; 1], second(outset, 9));
        assert_eq!(
            outbox.deadline(&LIMITS, second(outset, 9)),
            Ok(Some(second(outset, 19)))
        );
    }

    #[test]
    fn a_stall_is_told_from_slowness() {
        let (mut outbox, outset) = (Outbox::default(), outset());
        outbox.push_copy(&[0; 10], outset);
        assert_eq!(
            outbox.deadline(&LIMITS, second(outset, 30)),
            Err(CloseReason::WriteStall)
        );
        outbox.advance(1, second(outset, 29));
        assert_eq!(
            outbox.deadline(&LIMITS, second(outset, 30)),
            Ok(Some(second(outset, 59)))
        );
    }

    #[test]
    fn f123_who_takes_next_to_nothing_is_stalled_and_not_behind() {
        let (mut outbox, outset) = (Outbox::default(), outset());
        outbox.push_copy(&vec![0; 2 * BEHIND_BYTES], outset);
        assert!(outbox.is_behind(outset));
        assert!(!outbox.is_behind(second(outset, 1)));
        outbox.advance(TAKEN_MIN as usize, second(outset, 1));
        assert!(outbox.is_behind(second(outset, 1)));
        assert!(!outbox.is_behind(second(outset, 2)));
        outbox.advance(BEHIND_BYTES, second(outset, 2));
        assert!(!outbox.is_behind(second(outset, 2)), "it has caught up");
    }

    #[test]
    fn the_hard_limit_is_exact() {
        let (mut outbox, outset) = (Outbox::default(), outset());
        let limits = QueueLimits {
            bytes_soft: 1000,
            ..LIMITS
        };
        outbox.push_copy(&[0; 1000], outset);
        assert!(outbox.deadline(&limits, outset).is_ok());
        outbox.push_copy(&[0; 1], outset);
        assert_eq!(
            outbox.deadline(&limits, outset),
            Err(CloseReason::SlowConsumer)
        );
    }

    /// Neither what it copied nor what it shared stays behind, however it was emptied.
    #[test]
    fn f051_an_emptied_outbox_owns_no_heap() {
        let now = outset();
        let burst = Bytes::from(vec![0; 100_000]);
        let empty_it: [fn(&mut Outbox, Instant); 2] = [
            |outbox, now| outbox.advance(outbox.bytes(), now),
            |outbox, _| outbox.clear(),
        ];
        for empty in empty_it {
            let mut outbox = Outbox::default();
            for _ in 0..10 {
                outbox.push_copy(&burst, now);
                outbox.push_shared(burst.clone(), now);
                outbox.push_copy(&[0; 10], now);
            }
            outbox.advance(outbox.bytes() / 2, now);
            assert!(outbox.0.is_some() && !burst.is_unique());
            empty(&mut outbox, now);
            assert!(outbox.0.is_none(), "what is left is one pointer to nothing");
            assert!(burst.is_unique(), "it keeps what others wait for");
        }
        assert_eq!(size_of::<Outbox>(), size_of::<usize>());
    }

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(
            steps in prop::collection::vec((any::<bool>(), 0_usize..12_000, 0_usize..12_000), 0..40),
        ) {
            let (mut outbox, now) = (Outbox::default(), outset());
            let (mut model, mut next) = (VecDeque::new(), 0_u8);
            for (shared, pushed, taken) in steps {
                let bytes: Vec<u8> = (0..pushed).map(|_| { next = next.wrapping_add(1); next }).collect();
                model.extend(&bytes);
                if shared {
                    outbox.push_shared(Bytes::from(bytes), now);
                } else {
                    outbox.push_copy(&bytes, now);
                }
                let ready = front(&outbox);
                let (first, second) = model.as_slices();
                prop_assert!([first, second].concat().starts_with(&ready));
                let taken = taken.min(ready.len());
                outbox.advance(taken, now);
                model.drain(..taken);
                prop_assert_eq!(outbox.bytes(), model.len());
                prop_assert_eq!(outbox.recount(), model.len());
                prop_assert_eq!(outbox.is_empty(), model.is_empty());
            }
        }
    }
}
