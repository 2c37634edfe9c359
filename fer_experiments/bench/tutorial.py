"""The loops that people copy, with ImageFolder, DataLoader and eager PyTorch. They are for comparison, not for use.

python -m fer_experiments.bench.tutorial dcgan ROOT EPOCHS        ROOT/CLASS/*.png, one class
python -m fer_experiments.bench.tutorial classifier ROOT EPOCHS   ROOT/CLASS/*.png, two classes
"""

import sys
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from fer_experiments.classifier.networks import CNN
from fer_experiments.gan.networks import Discriminator, Generator

BATCH, WORKERS = 64, 2
Batches = Iterable[tuple[Tensor, Tensor]]


def build_dcgan_loader(root: str, size: int = 64) -> Batches:
    """Return batches of images (B, 3, size, size) in [-1, 1] and labels (B,)."""
    scale = [transforms.Resize(size), transforms.CenterCrop(size), transforms.ToTensor()]
    dataset = ImageFolder(root, transforms.Compose([*scale, transforms.Normalize((0.5,) * 3, (0.5,) * 3)]))
    return DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=WORKERS)


def train_dcgan(loader: Batches, epochs: int, device: torch.device) -> None:
    """Train as the public DCGAN example does, with the paper's networks and one output of D."""
    generator, discriminator = Generator().to(device), nn.Sequential(Discriminator(outputs=1), nn.Sigmoid()).to(device)
    criterion = nn.BCELoss()
    step_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    step_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    losses = []
    for _ in range(epochs):
        for batch, _ in loader:
            real = batch.to(device)
            ones, zeros = torch.ones(len(real), device=device), torch.zeros(len(real), device=device)
            discriminator.zero_grad()
            error_real = criterion(discriminator(real).view(-1), ones)
            error_real.backward()
            fake = generator(torch.randn(len(real), 100, device=device))
            error_fake = criterion(discriminator(fake.detach()).view(-1), zeros)
            error_fake.backward()
            step_d.step()
            generator.zero_grad()
            error_g = criterion(discriminator(fake).view(-1), ones)
            error_g.backward()
            step_g.step()
            losses.append((error_real.item() + error_fake.item(), error_g.item()))


class TutorialCNN(CNN):
    """The CNN of Table 3 with blocks as tutorials write them: convolution, ReLU, pooling."""

    @staticmethod
    def _block(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3), nn.ReLU(), nn.MaxPool2d(2)]


def build_classifier_loader(root: str, size: int = 100) -> Batches:
    """Return batches of images (B, 3, size, size) in [0, 1] and labels (B,)."""
    dataset = ImageFolder(root, transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()]))
    return DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=WORKERS)


def train_classifier(loader: Batches, epochs: int, device: torch.device) -> None:
    """Train as tutorials of classifiers do."""
    network = TutorialCNN(2).to(device)
    criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(network.parameters(), lr=1e-3)
    total = 0.0
    for _ in range(epochs):
        for batch, target in loader:
            images, labels = batch.to(device), target.to(device)
            optimizer.zero_grad()
            loss = criterion(network(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()


LOADERS = {"dcgan": build_dcgan_loader, "classifier": build_classifier_loader}
LOOPS = {"dcgan": train_dcgan, "classifier": train_classifier}

if __name__ == "__main__":
    model_name, images_root, count = sys.argv[1:]
    chosen_device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    LOOPS[model_name](LOADERS[model_name](images_root), int(count), chosen_device)
