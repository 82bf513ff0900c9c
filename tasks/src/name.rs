//! The list of a program's long-lived tasks. Only tasks in the list can be spawned as such, so that a test can go through all.

use std::fmt::Debug;

/// The long-lived tasks of a program. [`task_names!`](crate::task_names) writes it.
pub trait TaskName: Copy + Debug + Eq + Send + Sync + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// What people read of it, for example "watch of Mesh". No two are the same.
    fn name(self) -> &'static str;
}

/// Writes an enum of a program's long-lived tasks with the name of each, which is its [`TaskName`]. Task and list cannot differ.
#[macro_export]
macro_rules! task_names {
    ($(#[$about:meta])* $public:vis enum $Name:ident { $($(#[$doc:meta])* $Task:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $public enum $Name { $($(#[$doc])* $Task,)+ }

        impl $crate::TaskName for $Name {
            const ALL: &'static [Self] = &[$(Self::$Task,)+];

            fn name(self) -> &'static str {
                match self { $(Self::$Task => $text,)+ }
            }
        }
    };
}
