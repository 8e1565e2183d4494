//! Users and groups, of the host and of containers.

use hashbrown::HashMap;

use super::text::Text;

#[derive(Clone, Debug, Default)]
pub struct User {
    pub name: Text,
    pub home: Text,
    pub shell: Text,
}

/// Users and groups by container (empty: the host) and number. Bounded: what comes after the limit is counted, not kept.
#[derive(Debug, Default)]
pub struct Users {
    users: HashMap<(Text, u32), User>,
    groups: HashMap<(Text, u32), Text>,
    pub rejected: u64,
}

const LIMIT: usize = 1 << 18;

/// The key of the host's own users.
pub fn scope_of(container: &[u8]) -> &[u8] {
    if container == super::containers::HOST {
        b""
    } else {
        container
    }
}

impl Users {
    pub fn add_user(&mut self, container: &[u8], uid: u32, user: User) {
        if self.users.len() < LIMIT {
            self.users.insert((Text::from(scope_of(container)), uid), user);
        } else {
            self.rejected += 1;
        }
    }

    pub fn remove_user(&mut self, container: &[u8], uid: u32) {
        self.users.remove(&(Text::from(scope_of(container)), uid));
    }

    pub fn add_group(&mut self, container: &[u8], gid: u32, name: Text) {
        if self.groups.len() < LIMIT {
            self.groups.insert((Text::from(scope_of(container)), gid), name);
        } else {
            self.rejected += 1;
        }
    }

    pub fn remove_group(&mut self, container: &[u8], gid: u32) {
        self.groups.remove(&(Text::from(scope_of(container)), gid));
    }

    pub fn user(&self, container: &[u8], uid: u32) -> Option<&User> {
        self.users.get(&Key(scope_of(container), uid))
    }

    pub fn group(&self, container: &[u8], gid: u32) -> Option<&Text> {
        self.groups.get(&Key(scope_of(container), gid))
    }

    pub fn len(&self) -> usize {
        self.users.len() + self.groups.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A borrowed key.
#[derive(Hash)]
struct Key<'a>(&'a [u8], u32);

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
        users.add_user(b"", 0, named("root"));
        users.add_user(b"0123456789ab", 0, named("admin"));
        users.add_group(b"host", 5, Text::from(&b"tty"[..]));
        assert_eq!(&*users.user(b"host", 0).unwrap().name, b"root");
        assert_eq!(&*users.user(b"0123456789ab", 0).unwrap().name, b"admin");
        assert_eq!(&**users.group(b"", 5).unwrap(), b"tty");
        users.remove_user(b"host", 0);
        assert!(users.user(b"", 0).is_none());
    }
}
