//! What the loops of all kinds share: the ports they await, the object in hand, the write-ahead record, what
//! is known so far, what is remembered between two looks, and what people ask by annotations.

pub mod annotations;
pub mod deletion;
pub mod doubt;
pub mod fact;
pub mod grace;
pub mod held;
pub mod home;
pub mod look;
pub mod memory;
pub mod outcome;
pub mod ports;
pub mod revocations;
pub mod wait;
pub mod write_ahead;

pub use fact::{Fact, Trouble};
pub use held::{Held, Interrupted, Left};
pub use home::{Destination, RealmIds};
pub use memory::{Memories, Memory};
pub use outcome::Outcome;
pub use ports::{Announcement, Caller, Environment, Objects, Opened, Realms, Users, WriteError};
pub use wait::{Until, Wait};
pub use write_ahead::{Ticket, WritesAhead};
