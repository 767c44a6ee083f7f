"""Parts that tests share: programs, images, repositories, a scripted API, a server that forks pytest."""
