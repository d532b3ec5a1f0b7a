//! A body that is collected whole, up to a limit.

use bytes::{Bytes, BytesMut};

use crate::error::Error;

#[derive(Debug)]
pub(crate) struct Collecting {
    limit: usize,
    /// The first piece, while it is the only one: a body of one piece, as small ones are, isn't copied.
    only: Bytes,
    whole: BytesMut,
}

impl Collecting {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, only: Bytes::new(), whole: BytesMut::new() }
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// If all would be longer than the limit.
    pub(crate) fn add(&mut self, piece: Bytes) -> Result<(), Error> {
        if piece.len() > self.limit - self.whole.len() - self.only.len() {
            return Err(Error::TooLarge { limit: self.limit });
        }
        if self.whole.is_empty() && self.only.is_empty() {
            self.only = piece;
        } else {
            if self.whole.is_empty() {
                // At once for both: a short second piece would have the first, long one moved again.
                self.whole.reserve(self.only.len() + piece.len());
            }
            self.whole.extend_from_slice(&std::mem::take(&mut self.only));
            self.whole.extend_from_slice(&piece);
        }
        Ok(())
    }

    pub(crate) fn done(self) -> Bytes {
        if self.whole.is_empty() { self.only } else { self.whole.freeze() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_up_to_the_limit_and_one_alone_is_not_copied() {
        let mut body = Collecting::new(5);
        let first = Bytes::from(vec![b'a'; 3]);
        body.add(first.clone()).unwrap();
        body.add(Bytes::from_static(b"bc")).unwrap();
        assert!(matches!(body.add(Bytes::from_static(b"d")), Err(Error::TooLarge { limit: 5 })));
        assert_eq!(body.done(), "aaabc");
        let mut body = Collecting::new(5);
        body.add(first.clone()).unwrap();
        assert_eq!(body.done().as_ptr(), first.as_ptr());
    }
}
