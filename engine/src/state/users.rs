//! Users and groups, of the host and of containers.

use super::limits::Kept;
use super::text::Text;

#[derive(Clone, Debug, Default)]
pub struct User {
    pub name: Text,
    pub home: Text,
    pub shell: Text,
}

/// Container and number.
pub type Id = (Text, u32);

/// Users and groups by container (empty: the host) and number. Of too many those of containers go first.
#[derive(Debug, Default)]
pub struct Users {
    pub(super) users: Kept<Id, User>,
    pub(super) groups: Kept<Id, Text>,
}

fn rank(id: &Id) -> u8 {
    u8::from(id.0.is_empty())
}

/// The key of the host's own users.
pub fn scope_of(container: &[u8]) -> &[u8] {
    if container == super::containers::HOST {
        b""
    } else {
        container
    }
}

impl Users {
    pub fn add_user(&mut self, container: &[u8], uid: u32, user: User, limit: usize) {
        self.users
            .insert((Text::from(scope_of(container)), uid), user, limit, rank);
    }

    pub fn remove_user(&mut self, container: &[u8], uid: u32) {
        self.users.remove(&Key(scope_of(container), uid));
    }

    pub fn add_group(&mut self, container: &[u8], gid: u32, name: Text, limit: usize) {
        self.groups
            .insert((Text::from(scope_of(container)), gid), name, limit, rank);
    }

    pub fn remove_group(&mut self, container: &[u8], gid: u32) {
        self.groups.remove(&Key(scope_of(container), gid));
    }

    pub fn user(&self, container: &[u8], uid: u32) -> Option<&User> {
        self.users.get(&Key(scope_of(container), uid))
    }

    pub fn group(&self, container: &[u8], gid: u32) -> Option<&Text> {
        self.groups.get(&Key(scope_of(container), gid))
    }

    pub fn users(&self) -> impl Iterator<Item = (&Id, &User)> {
        self.users.iter()
    }

    pub fn groups(&self) -> impl Iterator<Item = (&Id, &Text)> {
        self.groups.iter()
    }

    pub fn len(&self) -> usize {
        self.users.len() + self.groups.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Users and groups that went because there were too many.
    pub fn evicted(&self) -> u64 {
        self.users.evicted + self.groups.evicted
    }
}

/// A borrowed key.
#[derive(Hash)]
pub(super) struct Key<'a>(pub &'a [u8], pub u32);

impl hashbrown::Equivalent<(Text, u32)> for Key<'_> {
    fn equivalent(&self, key: &(Text, u32)) -> bool {
        *self.0 == *key.0 && self.1 == key.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> User {
        User {
            name: Text::from(name.as_bytes()),
            ..User::default()
        }
    }

    #[test]
    fn users_belong_to_their_container() {
        let mut users = Users::default();
        users.add_user(b"", 0, named("root"), 9);
        users.add_user(b"0123456789ab", 0, named("admin"), 9);
        users.add_group(b"host", 5, Text::from(&b"tty"[..]), 9);
        assert_eq!(&*users.user(b"host", 0).unwrap().name, b"root");
        assert_eq!(&*users.user(b"0123456789ab", 0).unwrap().name, b"admin");
        assert_eq!(&**users.group(b"", 5).unwrap(), b"tty");
        users.remove_user(b"host", 0);
        assert!(users.user(b"", 0).is_none());
    }

    #[test]
    fn of_too_many_those_of_containers_go_first() {
        let mut users = Users::default();
        users.add_user(b"", 7, named("host"), 16);
        for uid in 0..100 {
            users.add_user(b"c", uid, named("x"), 16);
        }
        assert_eq!((users.len(), users.evicted()), (16, 85));
        assert!(users.user(b"", 7).is_some() && users.user(b"c", 99).is_some());
        assert!(users.user(b"c", 84).is_none());
    }
}
