"""The simulation that the demo, the tests and the benchmarks run the agent against.

A Kubernetes API with kubelets behind it (`cluster`, `apiserver`, `kubelet`), a Segment collector
(`collector`), writers of BotKube's logs that know what they wrote (`botkube`), and faults for both
servers (`faults`). All of it listens on localhost only and takes its times from whoever drives it.
"""
