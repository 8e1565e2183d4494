//! What runtimes tell about containers: parsed once from the JSON of an event, kept by id, bounded.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::limits::{Kept, container_size};
use super::text::Text;
use crate::facts::{Container, Mount, Port};

/// Longest JSON, longest text in it, and most labels, mounts or ports of one container that are kept.
const MOST_JSON: usize = 512 * 1024;
const MOST_TEXT: usize = 4096;
const MOST_CNI: usize = 32 * 1024;
const MOST_ITEMS: usize = 512;
/// Digits of an id by which containers are known.
const SHORT: usize = 12;

/// Names of the numbers that captures have for engines.
const ENGINES: [&str; 13] = [
    "docker",
    "lxc",
    "libvirt-lxc",
    "mesos",
    "rkt",
    "custom",
    "cri",
    "containerd",
    "cri-o",
    "bpm",
    "static",
    "podman",
    "systemd-nspawn",
];

/// Engines of which only the path of a control group tells, no runtime.
const BY_PATH: [&[u8]; 4] = [b"lxc", b"libvirt-lxc", b"bpm", b"systemd-nspawn"];

/// Containers of a host by id. Of too many those told longest ago make room.
#[derive(Debug, Default)]
pub struct Containers {
    pub(super) known: Kept<Text, Arc<Container>>,
    /// The container that the last event told of, until it is taken.
    pub(super) fresh: Option<Arc<Container>>,
    /// Events that were no container.
    pub unreadable: u64,
}

impl Containers {
    pub fn get(&self, id: &[u8]) -> Option<&Container> {
        self.known.get(&Key(id)).map(|container| &**container)
    }

    /// While this is the same, so is all that is known of containers. At least 1.
    pub fn version(&self) -> u64 {
        self.known.told + self.known.evicted + 1
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub fn evicted(&self) -> u64 {
        self.known.evicted
    }

    pub fn bytes(&self) -> u64 {
        self.known.iter().map(|(_, container)| container_size(container)).sum()
    }

    /// Forget every second container at least: those told longest ago.
    pub(super) fn halve(&mut self) {
        self.known.evict(self.len().div_ceil(2), |_| 0);
    }

    /// The sandbox that a container's pod has, where that is another container.
    pub fn sandbox(&self, container: &Container) -> Option<&Container> {
        let id = &container.sandbox_id[..container.sandbox_id.len().min(SHORT)];
        if id.is_empty() || id == container.id {
            return None;
        }
        self.get(id)
    }

    /// Learn from an event's JSON, told at `ts`; what is no container is counted and changes nothing.
    pub(super) fn tell(&mut self, json: &[u8], ts: u64, limit: usize) {
        let Some(container) = parse(json, ts) else {
            self.unreadable += 1;
            return;
        };
        // Whoever may make control groups can call one as another's container.
        let by_path = |engine: &[u8]| BY_PATH.contains(&engine);
        if by_path(&container.engine) && self.get(&container.id).is_some_and(|known| !by_path(&known.engine)) {
            return;
        }
        let container = Arc::new(container);
        self.fresh = Some(container.clone());
        self.known
            .insert(Text::from(&container.id[..]), container, limit, |_| 0);
    }

    /// Forget the container of an event's JSON.
    pub(super) fn remove(&mut self, json: &[u8]) {
        match parse(json, 0) {
            Some(container) => {
                self.known.told += 1;
                self.known.remove(&Key(&container.id));
            }
            None => self.unreadable += 1,
        }
    }

    /// What the event just applied told, with what its sandbox adds; once.
    pub fn take_fresh(&mut self) -> Option<Container> {
        let mut container = Container::clone(&*self.fresh.take()?);
        let own = !container.cni_json.is_empty();
        let pod = if own {
            Some(&container)
        } else {
            self.sandbox(&container)
        };
        if let Some(pod) = pod {
            let (ip, cni, labels) = (pod.ip.clone(), pod.cni_json.clone(), pod.sandbox_labels.clone());
            (container.in_pod, container.pod_ip, container.pod_cni_json) = (true, ip, cni);
            if !labels.is_empty() {
                container.sandbox_labels = labels;
            }
        }
        Some(container)
    }
}

/// A borrowed key.
#[derive(Hash)]
struct Key<'a>(&'a [u8]);

impl hashbrown::Equivalent<Text> for Key<'_> {
    fn equivalent(&self, key: &Text) -> bool {
        *self.0 == **key
    }
}

/// `{"container": {…}}` with the keys that captures have. A value of a wrong type is as one that is missing.
fn parse(json: &[u8], ts: u64) -> Option<Container> {
    let json = json.strip_suffix(b"\0").unwrap_or(json);
    if json.len() > MOST_JSON {
        return None;
    }
    let root: Value = serde_json::from_slice(json).ok()?;
    let from = root.get("container")?.as_object()?;
    let mut full_id = text(from, "full_id");
    let mut id = text(from, "id");
    if id.is_empty() {
        id.clone_from(&full_id);
    } else if full_id.is_empty() {
        full_id.clone_from(&id);
    }
    if id.len() == 64 && id.iter().all(u8::is_ascii_hexdigit) {
        id.truncate(SHORT);
    }
    if id.is_empty() || id == super::containers::HOST {
        return None;
    }
    let flag = |key| from.get(key).and_then(Value::as_bool).unwrap_or(false);
    let engine = from.get("type").and_then(Value::as_u64).unwrap_or(u64::MAX);
    Some(Container {
        since: ts,
        engine: usize::try_from(engine)
            .ok()
            .and_then(|engine| ENGINES.get(engine))
            .map(|name| name.as_bytes().to_vec())
            .unwrap_or_default(),
        full_id,
        id,
        name: text(from, "name"),
        image: text(from, "image"),
        image_id: text(from, "imageid"),
        repository: text(from, "imagerepo"),
        tag: text(from, "imagetag"),
        digest: text(from, "imagedigest"),
        user: text(from, "User"),
        ip: text(from, "ip"),
        cni_json: long_text(from, "cni_json", MOST_CNI),
        sandbox_id: text(from, "pod_sandbox_id"),
        in_pod: false,
        pod_ip: Vec::new(),
        pod_cni_json: Vec::new(),
        privileged: flag("privileged"),
        host_pid: flag("host_pid"),
        host_network: flag("host_network"),
        host_ipc: flag("host_ipc"),
        is_sandbox: flag("is_pod_sandbox"),
        created: from.get("created_time").and_then(Value::as_i64).unwrap_or(0),
        labels: labels(from.get("labels")),
        sandbox_labels: labels(from.get("pod_sandbox_labels")),
        mounts: items(from.get("Mounts"), |mount| Mount {
            source: text(mount, "Source"),
            destination: text(mount, "Destination"),
            mode: text(mount, "Mode"),
            writable: mount.get("RW").and_then(Value::as_bool).unwrap_or(false),
            propagation: text(mount, "Propagation"),
        }),
        ports: items(from.get("port_mappings"), |port| Port {
            host_ip: address(port.get("HostIp")),
            host_port: number(port.get("HostPort")),
            port: number(port.get("ContainerPort")),
        }),
    })
}

fn text(from: &Map<String, Value>, key: &str) -> Vec<u8> {
    long_text(from, key, MOST_TEXT)
}

fn long_text(from: &Map<String, Value>, key: &str, most: usize) -> Vec<u8> {
    from.get(key)
        .and_then(Value::as_str)
        .map_or(Vec::new(), |text| cut(text, most))
}

/// At most `most` bytes of a text, whole characters.
fn cut(text: &str, most: usize) -> Vec<u8> {
    let end = (0..=most.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text.as_bytes()[..end.unwrap_or(0)].to_vec()
}

/// By key, so that equal labels are told equally whatever the runtime's order.
fn labels(from: Option<&Value>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let Some(Value::Object(map)) = from else {
        return Vec::new();
    };
    let mut labels: Vec<(Vec<u8>, Vec<u8>)> = map
        .iter()
        .filter_map(|(key, value)| Some((cut(key, MOST_TEXT), cut(value.as_str()?, MOST_TEXT))))
        .take(MOST_ITEMS)
        .collect();
    labels.sort();
    labels
}

fn items<T>(from: Option<&Value>, make: impl Fn(&Map<String, Value>) -> T) -> Vec<T> {
    let Some(Value::Array(items)) = from else {
        return Vec::new();
    };
    items
        .iter()
        .filter_map(Value::as_object)
        .take(MOST_ITEMS)
        .map(make)
        .collect()
}

/// A port, as a number or as text.
fn number(from: Option<&Value>) -> u16 {
    match from {
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        Some(value) => value.as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(0),
        None => 0,
    }
}

/// An address, as text or as the number that old captures have.
fn address(from: Option<&Value>) -> Vec<u8> {
    match from {
        Some(Value::String(text)) => cut(text, MOST_TEXT),
        Some(value) => value
            .as_u64()
            .and_then(|number| u32::try_from(number).ok())
            .map_or(Vec::new(), |number| {
                std::net::Ipv4Addr::from(number).to_string().into_bytes()
            }),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(json: &str) -> Containers {
        let mut containers = Containers::default();
        containers.tell(json.as_bytes(), 7, 8);
        containers
    }

    #[test]
    fn a_container_is_known_by_its_short_id() {
        let id = "27794335214c55a9f43dff8b00c77c22166ca97c4d9dfb6744818a0c3ecdb299";
        let mut containers = told(&format!(
            r#"{{"container":{{"id":"{id}","type":0,"name":"web","privileged":true,"labels":{{"b":"2","a":""}},
            "Mounts":[{{"Source":"/a","Destination":"/b","Mode":"ro","RW":false,"Propagation":"rprivate"}}],
            "port_mappings":[{{"HostIp":2130706433,"HostPort":80,"ContainerPort":"8080"}}]}}}}"#
        ));
        let container = containers.get(b"27794335214c").unwrap().clone();
        assert_eq!(
            (
                &container.engine[..],
                &container.name[..],
                container.privileged,
                container.since
            ),
            (&b"docker"[..], &b"web"[..], true, 7)
        );
        assert_eq!(container.full_id, id.as_bytes());
        assert_eq!(container.labels[0], (b"a".to_vec(), Vec::new()));
        assert_eq!(container.mounts[0].destination, b"/b");
        assert_eq!(container.ports[0].host_ip, b"127.0.0.1");
        assert_eq!((container.ports[0].host_port, container.ports[0].port), (80, 8080));
        assert_eq!(containers.take_fresh().unwrap().id, container.id);
        assert!(containers.take_fresh().is_none());
        containers.remove(format!(r#"{{"container":{{"id":"{id}"}}}}"#).as_bytes());
        assert!(containers.is_empty());
    }

    #[test]
    fn wrong_types_are_missing_values() {
        let containers = told(
            r#"{"container":{"id":"abc","name":3,"type":"docker","labels":[1],"Mounts":{"a":1},"privileged":"yes",
            "created_time":"now","port_mappings":[1,{"HostPort":99999999}],"ip":{}}}"#,
        );
        let container = containers.get(b"abc").unwrap();
        assert_eq!(
            (container.name.len(), container.engine.len(), container.privileged),
            (0, 0, false)
        );
        assert_eq!(
            (
                container.mounts.len(),
                container.ports.len(),
                container.ports[0].host_port
            ),
            (0, 1, 0)
        );
    }

    #[test]
    fn what_is_no_container_is_counted() {
        for json in [
            "",
            "{",
            "[]",
            r#"{"container":[]}"#,
            r#"{"container":{}}"#,
            r#"{"container":{"id":"host"}}"#,
        ] {
            assert_eq!(told(json).unreadable, 1, "{json}");
        }
        let deep = format!(r#"{{"container":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(told(&deep).unreadable, 1);
    }

    #[test]
    fn texts_and_lists_are_cut() {
        let labels: Vec<String> = (0..2000).map(|i| format!(r#""k{i:04}":"v""#)).collect();
        let json = format!(
            r#"{{"container":{{"id":"a","name":"{}","labels":{{{}}}}}}}"#,
            "ü".repeat(10_000),
            labels.join(",")
        );
        let containers = told(&json);
        let container = containers.get(b"a").unwrap();
        assert_eq!((container.name.len(), container.labels.len()), (MOST_TEXT, MOST_ITEMS));
    }

    #[test]
    fn a_path_takes_nothing_back_that_a_runtime_told() {
        let mut containers = told(r#"{"container":{"id":"aa","type":0,"name":"prod","privileged":true}}"#);
        containers.take_fresh();
        containers.tell(br#"{"container":{"id":"aa","type":1,"name":"aa"}}"#, 8, 8);
        assert!(containers.take_fresh().is_none());
        assert_eq!(containers.get(b"aa").unwrap().name, b"prod");
        let mut containers = told(r#"{"container":{"id":"aa","type":1,"name":"aa"}}"#);
        containers.tell(br#"{"container":{"id":"aa","type":0,"name":"prod"}}"#, 8, 8);
        assert_eq!(containers.get(b"aa").unwrap().name, b"prod");
    }

    #[test]
    fn the_table_is_bounded_and_the_oldest_goes() {
        let mut containers = Containers::default();
        for id in ["a", "b", "a", "c", "d"] {
            containers.tell(format!(r#"{{"container":{{"id":"{id}"}}}}"#).as_bytes(), 0, 3);
        }
        assert_eq!((containers.len(), containers.evicted()), (3, 1));
        assert!(containers.get(b"b").is_none());
    }

    #[test]
    fn a_pod_is_told_by_its_sandbox() {
        let mut containers = told(
            r#"{"container":{"id":"5a5a5a5a5a5a","ip":"10.0.0.9","cni_json":"{}","is_pod_sandbox":true,
            "pod_sandbox_labels":{"app":"web"}}}"#,
        );
        containers.tell(br#"{"container":{"id":"c","pod_sandbox_id":"5a5a5a5a5a5a1111"}}"#, 0, 8);
        let fresh = containers.take_fresh().unwrap();
        assert_eq!(
            (&fresh.pod_ip[..], &fresh.pod_cni_json[..]),
            (&b"10.0.0.9"[..], &b"{}"[..])
        );
        assert_eq!(fresh.sandbox_labels, [(b"app".to_vec(), b"web".to_vec())]);
    }

    proptest! {
        #[test]
        fn no_json_makes_it_panic(json in "\\PC{0,200}", cut in 0usize..200) {
            let whole = format!(r#"{{"container":{{"id":"a","labels":{{"x":"{json}"}},"Mounts":[{{"Source":"{json}"}}]}}}}"#);
            told(&whole);
            told(&json);
            let mut containers = Containers::default();
            containers.tell(&whole.as_bytes()[..cut.min(whole.len())], 0, 8);
        }
    }
}
