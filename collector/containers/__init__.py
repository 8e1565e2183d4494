"""What runtimes know of this host's containers, told as events of their own beside the drain.

`watch` sees new ids in drained batches and hands them to one thread a runtime (`inquiry`); a `runtime` is Docker's and
Podman's API (`docker`) or Kubernetes' CRI (`cri`). An event never waits for any of them.
"""
