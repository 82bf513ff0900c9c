//! Long-lived child processes: started with log files, stopped by id, never left behind.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::run_dir::RunDir;
use crate::wait;

/// How long a program of the test bed may take to start: seconds on idle cores, and two suites keep them busy.
pub const START: Duration = Duration::from_secs(60);
/// Lines of a log that a failure shows.
const TAIL: usize = 20;

/// A child process. Dropping it kills it; it is also killed when this program ends in any way, SIGKILL included.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command` with its standard output in `NAME.out` and its standard error in `NAME.log` of `run`, both
    /// open to every user and appended to, so that a restarted process continues them.
    ///
    /// # Errors
    /// The log files cannot be written or the command cannot be started.
    pub fn spawn(name: &str, command: &Command, run: &RunDir) -> Result<Self> {
        let stdout = run.join(format!("{name}.out"));
        let stderr = run.join(format!("{name}.log"));
        let mut child = tied(command);
        child.stdin(Stdio::piped()).stdout(log(&stdout, true)?).stderr(log(&stderr, false)?);
        let mut child = spawn_on_keeper(child).with_context(|| format!("cannot start {name}"))?;
        let stdin = child.stdin.take();
        Ok(Self { name: name.to_owned(), child, stdin, stdout, stderr })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file with its standard error.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.stderr
    }

    /// The lines it wrote to standard output so far, without one that is not ended yet.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn lines(&self) -> Result<Vec<String>> {
        let text = std::fs::read_to_string(&self.stdout)
            .with_context(|| format!("cannot read {}", self.stdout.display()))?;
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        Ok(complete.lines().map(str::to_owned).collect())
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// It has ended or does not read.
    pub fn say(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().with_context(|| format!("{} takes no input", self.name))?;
        writeln!(stdin, "{line}").with_context(|| format!("{} does not listen", self.name))
    }

    /// Closes its standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Fails when the process has ended, with the end of its log.
    ///
    /// # Errors
    /// It has ended, or cannot be asked.
    pub fn ensure_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}\n{}", self.name, self.log_tail()),
        }
    }

    /// Awaits `Some` from `check`; gives up at once when the process ends.
    ///
    /// # Errors
    /// `within` has passed or the process has ended; the error shows the end of its log.
    pub async fn until<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut check: impl AsyncFnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        // Two layers: the outer error ends the wait, the inner one is a "not yet".
        let waited = wait::until(what, within, async || match self.ensure_running() {
            Err(ended) => Ok(Some(Err(ended))),
            Ok(()) => Ok(check(self).await?.map(Ok)),
        })
        .await;
        match waited {
            Ok(value) => value.with_context(|| format!("while waiting until {what}")),
            Err(error) => Err(error.context(format!("{}: {}", self.name, self.log_tail()))),
        }
    }

    /// Waits for the first line of standard output, in which a listener prints its address.
    ///
    /// # Errors
    /// As [`Self::until`].
    pub async fn first_line(&mut self, within: Duration) -> Result<String> {
        let what = format!("{} prints its first line", self.name);
        self.until(&what, within, async |process| Ok(process.lines()?.into_iter().next())).await
    }

    /// Asks it to end (SIGTERM) and awaits that.
    ///
    /// # Errors
    /// It does not end `within`: it is killed then, and the error says so.
    pub async fn terminate(&mut self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.ended(within).await
    }

    /// Awaits its end.
    ///
    /// # Errors
    /// It does not end `within`: it is killed then, and the error says so.
    pub async fn ended(&mut self, within: Duration) -> Result<ExitStatus> {
        let what = format!("{} ends", self.name);
        let ended = wait::until(&what, within, async || Ok(self.child.try_wait()?)).await;
        if ended.is_err() {
            self.kill();
        }
        ended.with_context(|| self.log_tail())
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("cannot send {signal:?} to {}", self.name))
    }

    /// Kills it (SIGKILL) and reaps it. Nothing happens when it has ended.
    pub fn kill(&mut self) {
        // Both fail only for a process that has ended and been reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The end of its standard error, for messages.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.stderr).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n  ");
        format!("the end of {}:\n  {tail}", self.stderr.display())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The same command, which ends when the thread that starts it does: `setpriv` asks the kernel for that and becomes
/// the command.
fn tied(command: &Command) -> Command {
    let mut tied = Command::new("setpriv");
    tied.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => tied.env(key, value),
            None => tied.env_remove(key),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        tied.current_dir(folder);
    }
    tied
}

/// Opens a log that the process may also open by itself (`/dev/stdout`), whatever user it runs as.
fn log(path: &Path, fresh: bool) -> Result<File> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut options = File::options();
    options.create(true);
    // Standard output starts anew, because its first line is an answer; the log contains everything.
    if fresh {
        options.write(true).truncate(true)
    } else {
        options.append(true)
    };
    let file = options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
    file.set_permissions(std::fs::Permissions::from_mode(0o666))?;
    Ok(file)
}

type ProcessRequest = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Starts a child from a thread that lives as long as the program. "Die with the parent" means the parent thread,
/// and the threads of tests and runtimes come and go.
fn spawn_on_keeper(command: Command) -> Result<Child> {
    static KEEPER: OnceLock<mpsc::Sender<ProcessRequest>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<ProcessRequest>();
        std::thread::spawn(move || {
            for (mut command, reply) in receiver {
                // A caller that went away drops the child, which nobody could use.
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, child) = mpsc::channel();
    keeper.send((command, reply)).ok().context("the thread that starts processes has ended")?;
    child.recv().context("the thread that starts processes has ended")?.context("cannot start the process")
}
