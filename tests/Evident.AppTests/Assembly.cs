// Every test starts processes, and some of them watch clocks, memory or the order of system calls: one at a time.
[assembly: Xunit.CollectionBehavior(DisableTestParallelization = true)]
