//! What rendered parameters ask of the state: names of processes, descriptors, users; absolute paths.

use super::{EventView, fd};
use crate::render::{self, Names, Question};
use crate::state::paths;

impl Names for EventView<'_> {
    fn resolve(&self, _: usize, question: Question, out: &mut Vec<u8>) -> bool {
        let (threads, users) = (&self.state.threads, &self.state.users);
        match question {
            Question::Pid(pid) => {
                return threads.get(pid).is_some_and(|thread| {
                    out.extend_from_slice(&thread.comm);
                    true
                });
            }
            Question::Fds(_) => return fd::poll_list(self, question, out),
            Question::Fd(_) | Question::Path { .. } | Question::Uid(_) | Question::Gid(_) => {}
        }
        let Some(slot) = self.seen.thread else { return false };
        let thread = &threads[slot];
        match question {
            Question::Fd(number) => {
                let Some(fd) = threads.fd(slot, number) else {
                    return false;
                };
                render::descriptor(fd.kind.names().1, fd.l4proto().unwrap_or("").as_bytes(), &fd.name, out);
                true
            }
            Question::Path { text, dirfd } => {
                let mut path = Vec::new();
                paths::join(self.state.directory(slot, dirfd), text, &mut path);
                out.extend_from_slice(&path);
                true
            }
            Question::Uid(uid) => users.user(&thread.container, uid).is_some_and(|user| {
                out.extend_from_slice(&user.name);
                true
            }),
            Question::Gid(gid) => users.group(&thread.container, gid).is_some_and(|name| {
                out.extend_from_slice(name);
                true
            }),
            Question::Pid(_) | Question::Fds(_) => false,
        }
    }
}
