//! What a process needs around its loops: health, logs, signals. It knows nothing of what the loops do.

pub mod health;
pub mod shutdown;
pub mod telemetry;
