//! What connections at the door are answered.

use std::io::IoSlice;
use std::mem;
use std::time::Instant;

use super::{Stage, Waiting, LINGER};
use crate::dialect::Answer;
use crate::server::network::Network;
use crate::stream::Write;

/// A connection is answered at most 100 times.
const ANSWERS_MAX: usize = 100;

impl<S> Waiting<S> {
    /// Begins to answer it.
    pub(in crate::server) fn answer(&mut self, mut answer: Answer, now: Instant) {
        self.answers += 1;
        answer.is_last |= self.answers >= ANSWERS_MAX;
        match &self.stage {
            Stage::Preface(preface) if preface.is_patient_anew() => {
                self.until = now + preface.patience();
            }
            #[cfg(feature = "tls")]
            Stage::Hello => self.until = now + LINGER,
            _ => {}
        }
        (self.answer, self.taken, self.is_blocked) = (answer, 0, false);
    }

    /// Writes what goes of the answer without waiting; gives whether all of it went.
    ///
    /// # Errors
    /// The connection is broken.
    pub(in crate::server) fn write<N: Network<Stream = S>>(
        &mut self,
        network: &mut N,
        now: Instant,
    ) -> Result<bool, ()> {
        let Answer { head, body, .. } = &self.answer;
        while !self.is_blocked && self.taken < head.len() + body.len() {
            let of_head = head.len().min(self.taken);
            let slices = [
                IoSlice::new(&head[of_head..]),
                IoSlice::new(&body[self.taken - of_head..]),
            ];
            match network.write(&mut self.stream, &slices) {
                Write::Taken(bytes) => self.taken += bytes,
                Write::Blocked => self.is_blocked = true,
                Write::Broken(_) => return Err(()),
            }
        }
        if !self.is_answered() {
            return Ok(false);
        }
        let answer = mem::take(&mut self.answer);
        self.taken = 0;
        if answer.is_last {
            self.stage = Stage::Over { dropped: 0 };
            self.bytes = Vec::new();
            self.until = now + LINGER;
            network.finish(&mut self.stream);
        }
        Ok(true)
    }
}
