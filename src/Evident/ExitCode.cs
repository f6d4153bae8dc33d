namespace Evident;

/// <summary>Exit codes outside <c>verify</c>, whose table is its own (docs/ledger-format.md).</summary>
internal static class ExitCode
{
    public const int Done = 0;

    /// <summary>Refused or failed; one sentence on stderr says what was attempted, with what, and what to do.</summary>
    public const int Refused = 1;

    /// <summary>Wrong command line.</summary>
    public const int Usage = 64;

    /// <summary>State unknown, stopped. The service manager may start it again; recovery decides.</summary>
    public const int StateUnknown = 70;
}

/// <summary>The command cannot do what was asked. The message is the one sentence for stderr.</summary>
internal sealed class RefusedException(string message, int exitCode = ExitCode.Refused) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
}
