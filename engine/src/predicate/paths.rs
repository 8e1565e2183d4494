//! `pmatch`: whether any of many paths is a prefix, component by component, of a path.

use hashbrown::HashMap;

use super::glob::{Glob, is_glob};

/// A tree of components. A listed component with `? * [` is a pattern for one component.
#[derive(Debug, Default)]
pub struct Paths {
    ends: bool,
    plain: HashMap<Box<[u8]>, Paths>,
    globs: Vec<(Box<[u8]>, Glob, Paths)>,
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
        .filter(|component| !component.is_empty())
}

impl Paths {
    pub fn insert(&mut self, path: &[u8]) {
        let mut node = self;
        for component in components(path) {
            if node.ends {
                return;
            }
            node = if is_glob(component) {
                let at = node
                    .globs
                    .iter()
                    .position(|(text, ..)| &**text == component)
                    .unwrap_or_else(|| {
                        node.globs
                            .push((component.into(), Glob::new(component, false), Paths::default()));
                        node.globs.len() - 1
                    });
                &mut node.globs[at].2
            } else {
                node.plain.entry(component.into()).or_default()
            };
        }
        *node = Paths {
            ends: true,
            ..Paths::default()
        };
    }

    /// One of these begins every path that has one of the listed as a prefix; none if the first components tell nothing.
    pub fn beginnings(&self) -> Option<Vec<Vec<u8>>> {
        if self.ends || !self.globs.is_empty() {
            return None;
        }
        // Relative paths are as absolute ones, and slashes may be doubled.
        let words = self
            .plain
            .keys()
            .flat_map(|first| [[b"/", &**first].concat(), first.to_vec()]);
        Some(words.chain([b"//".to_vec()]).collect())
    }

    pub fn has_prefix_of(&self, path: &[u8]) -> bool {
        let mut node = self;
        let mut rest = components(path);
        // Most lists have no patterns, and then there is one way down.
        while node.globs.is_empty() {
            if node.ends {
                return true;
            }
            match rest.next().and_then(|component| node.plain.get(component)) {
                Some(below) => node = below,
                None => return false,
            }
        }
        // Patterns make several nodes fit at once; the set of them never exceeds the nodes of one level.
        let mut level = vec![node];
        for component in rest {
            if level.iter().any(|node| node.ends) {
                return true;
            }
            let mut next = Vec::new();
            for node in level {
                next.extend(node.plain.get(component));
                next.extend(
                    node.globs
                        .iter()
                        .filter(|(_, glob, _)| glob.matches(component))
                        .map(|(.., below)| below),
                );
            }
            if next.is_empty() {
                return false;
            }
            level = next;
        }
        level.iter().any(|node| node.ends)
    }
}

#[cfg(test)]
mod tests {
    use super::Paths;

    fn of(paths: &[&str]) -> Paths {
        let mut all = Paths::default();
        paths.iter().for_each(|path| all.insert(path.as_bytes()));
        all
    }

    #[test]
    fn components_not_letters() {
        let paths = of(&["/etc", "var//log/", "/opt/*/bin", "/usr/lib"]);
        for yes in ["/etc", "/etc/passwd", "etc/x", "/var/log/a", "/opt/x/bin/y"] {
            assert!(paths.has_prefix_of(yes.as_bytes()), "{yes}");
        }
        for no in ["/etcetera", "/var", "/opt/x/y/bin", "", "/usr/bin"] {
            assert!(!paths.has_prefix_of(no.as_bytes()), "{no}");
        }
        assert!(of(&["/"]).has_prefix_of(b""));
        assert!(of(&["/a/b/c", "/a"]).has_prefix_of(b"/a/x"));
        assert!(of(&["/a", "/a/b/c"]).has_prefix_of(b"/a/x"));
        assert!(!of(&[]).has_prefix_of(b"/"));
    }
}
