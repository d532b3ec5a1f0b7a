//! Telling the id of a request that is sent, to a program that wants to know it also if no response comes.

use std::fmt;

use tieline_protocol::RequestId;

/// Whom to tell.
#[derive(Default)]
pub(super) struct Notice(Option<Box<dyn Fn(RequestId) + Send>>);

impl Notice {
    pub(super) fn to(notice: impl Fn(RequestId) + Send + 'static) -> Self {
        Self(Some(Box::new(notice)))
    }

    pub(super) fn tell(&self, id: RequestId) {
        if let Some(notice) = &self.0 {
            notice(id);
        }
    }
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Notice(to somebody)" } else { "Notice(to nobody)" })
    }
}
