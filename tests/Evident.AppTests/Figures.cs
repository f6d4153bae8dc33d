using System.Globalization;
using Xunit.Abstractions;

namespace Evident.AppTests;

/// <summary>Measured figures: into the test's output, onto the console, and into the file EVIDENT_FIGURES when that is set.</summary>
public static class Figures
{
    public static void Print(ITestOutputHelper test, FormattableString figure)
    {
        var line = figure.ToString(CultureInfo.InvariantCulture);
        test.WriteLine(line);
        Console.WriteLine(line);
        if (Environment.GetEnvironmentVariable("EVIDENT_FIGURES") is { Length: > 0 } file) File.AppendAllText(file, line + Environment.NewLine);
    }
}
