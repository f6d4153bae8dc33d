using Evident.Platform;

namespace Evident.Tests.Differential;

/// <summary>The second verifier by itself: its own known answers, and its Ed25519 against libsodium where implementations are known to differ.</summary>
public class PythonVerifierTests
{
    [Fact]
    public void Its_known_answers_hold()
    {
        using var process = PythonVerifier.Start("-m", "unittest", "test_evident_verify");
        string said = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"python3 -m unittest test_evident_verify (its report is on standard error) ended with {process.ExitCode}. {said}");
    }

    [Fact]
    public void Its_signatures_are_those_of_libsodium_for_every_odd_point()
    {
        using var process = PythonVerifier.Start("edge_signatures.py");
        int valid = 0, all = 0;
        while (process.StandardOutput.ReadLine() is { } line)
        {
            string[] parts = line.Split(' ');
            bool theirs = parts[3] == "1";
            byte[] message = parts[1] == "-" ? [] : Convert.FromHexString(parts[1]);
            Assert.True(theirs == Sodium.Ed25519Verify(Convert.FromHexString(parts[2]), message, Convert.FromHexString(parts[0])), $"Python says {theirs}, libsodium the opposite: {line}");
            (valid, all) = (valid + (theirs ? 1 : 0), all + 1);
        }

        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        Assert.InRange(valid, 10, all - 200);
    }
}
