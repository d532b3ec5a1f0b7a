//! How much a writer claims at once.

use crate::limits::{TURN, TURN_BULK};

/// How much a writer claims at once: one turn, and more of them while the socket takes all that it is given.
///
/// What is claimed has left: nothing overtakes it. For a socket that is full, a claim is kept to one turn, so that a small
/// frame stands behind little. One that takes whole turns at once delays nobody, and each write and each wake-up that is
/// saved there counts.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    limit: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { limit: TURN }
    }
}

impl Pace {
    /// How much to claim, in bytes.
    pub const fn limit(self) -> usize {
        self.limit
    }

    /// The socket took all of a claim of so many bytes.
    pub fn took(&mut self, claimed: usize) {
        if claimed >= self.limit {
            self.limit = (2 * self.limit).min(TURN_BULK);
        }
    }

    /// The socket is full.
    pub const fn full(&mut self) {
        self.limit = TURN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_grow_while_the_socket_takes_them_whole_and_are_a_turn_again_when_it_is_full() {
        let mut pace = Pace::default();
        assert_eq!(pace.limit(), TURN);
        pace.took(TURN - 1);
        assert_eq!(pace.limit(), TURN, "there was no more to claim");
        for _ in 0..9 {
            pace.took(pace.limit());
        }
        assert_eq!(pace.limit(), TURN_BULK);
        pace.full();
        assert_eq!(pace.limit(), TURN);
    }
}
