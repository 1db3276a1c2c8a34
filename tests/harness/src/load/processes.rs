//! The processes that are measured: their CPU time and their memory, from `/proc`.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};

use super::Load;

/// The names of the measured processes: those of the control plane, and the operator.
pub(super) const NAMES: [&str; 4] = ["operator", "kube-apiserver", "etcd", "this program"];

/// The CPU time of each process of [`NAMES`], in seconds. One that does not run yet has used none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cpu(pub(super) [f64; 4]);

impl Cpu {
    /// What was used since `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self(std::array::from_fn(|index| self.0[index] - before.0[index]))
    }
}

impl Load {
    /// The CPU time so far.
    pub(super) fn cpu(&self) -> anyhow::Result<Cpu> {
        let folder = self.cluster.folder();
        let servers = [server_pid("kube-apiserver", folder)?, server_pid("etcd", folder)?];
        // The operator does not run yet before a restart.
        let operator = pid_of(self.home.path()).and_then(cpu_of).unwrap_or_default();
        Ok(Cpu([operator, cpu_of(servers[0])?, cpu_of(servers[1])?, cpu_of(std::process::id())?]))
    }
}

/// The id of the operator's process. `Leashed` knows only the id of its shell, so this searches by the home directory.
pub(super) fn pid_of(home: &Path) -> anyhow::Result<u32> {
    find("beyond-identity", "environ", &format!("HOME={}", home.display()))
}

/// The id of a server of the control plane with this folder: each has a flag with a path in it.
fn server_pid(name: &str, folder: &Path) -> anyhow::Result<u32> {
    find(name, "cmdline", &folder.display().to_string())
}

/// The process whose name starts with `name`, and that has `text` in its arguments or its environment.
fn find(name: &str, file: &str, text: &str) -> anyhow::Result<u32> {
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let parts = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let mut parts = parts.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        if comm.starts_with(name) && parts.any(|part| part.contains(text)) {
            return Ok(pid);
        }
    }
    bail!("cannot find the process {name}")
}

/// The CPU time of a process, in seconds.
pub(super) fn cpu_of(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the process may contain brackets, so the fields begin after the last closing one.
    let (_, fields) = stat.rsplit_once(") ").context("unexpected format of /proc/PID/stat")?;
    let ticks = |index: usize| fields.split(' ').nth(index).and_then(|field| field.parse::<f64>().ok());
    // Linux reports hundredths of a second, independent of the kernel's timer frequency.
    Ok((ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default()) / 100.0)
}

/// A figure about the memory of a process, such as `VmRSS:`, in megabytes.
pub(super) fn memory_of(pid: u32, figure: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix(figure)).context("no such figure in /proc/PID/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1000.0)
}

/// Sets the peak of the memory, `VmHWM:`, to the memory now.
pub(super) fn reset_peak(pid: u32) -> anyhow::Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("cannot reset the peak of the memory")
}

#[cfg(test)]
mod tests {
    use super::{cpu_of, find, memory_of, reset_peak};

    #[test]
    fn figures_of_this_process() {
        let pid = std::process::id();
        let large = vec![1_u8; 64 << 20];
        assert!(memory_of(pid, "VmHWM:").unwrap() > 64.0, "{}", large.len());
        drop(large);
        reset_peak(pid).unwrap();
        assert!(memory_of(pid, "VmHWM:").unwrap() >= memory_of(pid, "VmRSS:").unwrap() / 2.0);
        assert!(cpu_of(pid).unwrap() >= 0.0);
        let folder = std::env::current_exe().unwrap();
        let name = std::fs::read_to_string("/proc/self/comm").unwrap();
        assert!(find(name.trim(), "cmdline", &folder.file_name().unwrap().to_string_lossy()).is_ok());
        assert!(find("no such process", "cmdline", "").is_err());
    }
}
