# The same publish as installer/publish.sh, for Windows or PowerShell: everything that matters is in the project files.
param([string]$Out = "out", [string]$Runtime = $(if ($IsLinux) { "linux-x64" } else { "win-x64" }))
dotnet publish "$PSScriptRoot/src/Evident/Evident.csproj" -c Release -r $Runtime "-p:EvidentFramework=net9.0" "-p:EvidentAot=true" --artifacts-path "$PSScriptRoot/artifacts/publish" -o $Out
