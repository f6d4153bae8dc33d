namespace Evident.Platform;

/// <summary>Background work that must not take time from the writer. .NET's own thread priorities do nothing on Linux.</summary>
public static class LowPriority
{
    private const int OfProcess = 0, Calling = 0, Nicest = 19;

    /// <summary>The calling thread, and threads that it starts from now on, run when nothing else wants the processor (setpriority(2): on Linux per thread).</summary>
    public static void TakeForThisThread() => _ = Posix.setpriority(OfProcess, Calling, Nicest); // lowering is always allowed; where it is not supported, the work is only less polite
}
