//! Follows files that others replace, such as those of mounted ConfigMaps and Secrets.

use std::time::Duration;

use tokio::task::spawn_blocking;

/// How often the files are read again. The kubelet itself takes about a minute to update them.
const INTERVAL: Duration = Duration::from_secs(10);

/// Calls `changed` with what `read` returns whenever it differs from `last`. Never returns.
pub async fn follow<T>(read: impl Fn() -> T + Clone + Send + 'static, mut last: T, mut changed: impl FnMut(&T) + Send)
where
    T: PartialEq + Send + 'static,
{
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Ok(now) = spawn_blocking(read.clone()).await else { continue };
        if now != last {
            changed(&now);
            last = now;
        }
    }
}
