//! The three ids of the protocol, and the key of an exchange made of them.
//!
//! All are 128 bits, compared as big-endian numbers, and written as UUIDs where people see them. The pure crate
//! draws none itself: whoever has randomness hands the bytes in.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use uuid::Uuid;

/// The namespace of channel names: the id of a name is its `UUIDv5` in here.
pub const CHANNEL_NAMESPACE: Uuid = Uuid::from_u128(0xc9f5_7998_d27d_40c6_9b49_d850_abb2_6821);

/// The longest channel name, in bytes of UTF-8.
pub const CHANNEL_NAME_MAX: usize = 255;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
        pub struct $name([u8; 16]);

        // As two words: ids are looked up for every frame, and bytes cost a hasher twice as much.
        impl Hash for $name {
            fn hash<H: Hasher>(&self, to: &mut H) {
                let number = self.as_u128();
                to.write_u64((number >> 64) as u64);
                to.write_u64(number as u64);
            }
        }

        impl $name {
            /// The id of all zeros, which stands where a frame type has no use for the field.
            pub const NIL: Self = Self([0; 16]);

            /// The id with these big-endian bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The id that is this number, big-endian.
            pub const fn from_u128(number: u128) -> Self {
                Self(number.to_be_bytes())
            }

            /// The big-endian bytes, as they stand in a header.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// The id as a number; ids are ordered by it.
            pub const fn as_u128(&self) -> u128 {
                u128::from_be_bytes(self.0)
            }

            /// Whether this is [`Self::NIL`].
            pub fn is_nil(&self) -> bool {
                self.0 == [0; 16]
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&Uuid::from_bytes(self.0), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), Uuid::from_bytes(self.0))
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse::<Uuid>().map(|id| Self(id.into_bytes()))
            }
        }
    };
}

id! {
    /// Names a connection: 128 random bits drawn anew for each one, never reused.
    ClientId
}
id! {
    /// Names a request on the connection that opened it; strictly increasing there.
    RequestId
}
id! {
    /// Names a channel.
    ChannelId
}

impl ChannelId {
    /// The id of the channel that people call `name`, hashed byte for byte.
    ///
    /// ```
    /// use tieline_protocol::ChannelId;
    /// assert_eq!(ChannelId::of_name("upper"), ChannelId::of_name("upper"));
    /// assert_ne!(ChannelId::of_name("upper"), ChannelId::of_name("Upper"));
    /// ```
    pub fn of_name(name: &str) -> Self {
        Self(Uuid::new_v5(&CHANNEL_NAMESPACE, name.as_bytes()).into_bytes())
    }
}

/// The key of an exchange: who opened it, as which request, on which channel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExchangeId {
    /// The opener's client id.
    pub client: ClientId,
    /// The request id, drawn by the opener.
    pub request: RequestId,
    /// The channel the request went to.
    pub channel: ChannelId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ordered_as_big_endian_numbers() {
        assert!(RequestId::from_u128(255) < RequestId::from_u128(256));
        assert_eq!(RequestId::from_u128(256).as_bytes()[14], 1);
    }

    #[test]
    fn ids_are_written_and_read_as_uuids() {
        let id = ChannelId::of_name("upper");
        assert_eq!(id.to_string().parse::<ChannelId>().unwrap(), id);
        assert!("upper".parse::<ChannelId>().is_err());
    }
}
