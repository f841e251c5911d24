"""The simulation that the demo, the tests and the benchmarks run the agent against.

A Kubernetes API with kubelets behind it (`cluster`, `apiserver`, `kubelet`), collectors that lie as
their services do (`collector` for Segment, `posthog`, `ga4`, `piwik_pro`), writers of BotKube's
logs that know what they wrote (`botkube`), and faults for all servers (`faults`). All of it listens
on localhost only and takes its times from whoever drives it.
"""
